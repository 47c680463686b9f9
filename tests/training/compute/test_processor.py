"""What is known about the processor."""

import pytest
import torch

from skmlp.training.compute import processor


@pytest.mark.parametrize(
    ("description", "is_intel"),
    [
        ("vendor_id\t: GenuineIntel\nmodel name\t: Xeon", True),
        ("vendor_id\t: AuthenticAMD\nmodel name\t: EPYC", False),
    ],
)
def test_vendor_is_read_from_the_description(description, is_intel, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text(description)
    assert processor.is_intel(file) == is_intel


def test_system_without_the_file_describes_its_processor(monkeypatch, tmp_path):
    name = "Intel64 Family 6 Model 143, GenuineIntel"
    monkeypatch.setattr(processor.platform, "processor", lambda: name)
    assert processor.is_intel(tmp_path / "absent")


@pytest.mark.parametrize(
    ("instructions", "is_fast"),
    [
        ({"avx512_f": True, "amx_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": True}, True),
        ({"avx512_f": True, "avx512_bf16": False}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_instructions_decide_whether_bfloat16_is_fast(
    instructions, is_fast, monkeypatch
):
    monkeypatch.setattr(processor.torch.cpu, "get_capabilities", lambda: instructions)
    assert processor.bfloat16_is_fast.__wrapped__() == is_fast


def halved_smallest():
    return float(torch.tensor(torch.finfo(torch.float32).tiny) * 0.5)


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor has no such mode"
)
def test_numbers_near_zero_are_flushed_within_the_block_only():
    with processor.flushed_denormals():
        assert halved_smallest() == 0.0
    assert halved_smallest() > 0.0


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor has no such mode"
)
def test_mode_of_the_caller_is_kept():
    torch.set_flush_denormal(True)
    try:
        with processor.flushed_denormals():
            pass
        assert halved_smallest() == 0.0
    finally:
        torch.set_flush_denormal(False)


def test_mode_is_restored_if_ctrl_c_comes_before_it(monkeypatch):
    modes, interrupted = [], iter([False, True, False])

    def set_mode(flushed):
        if next(interrupted):
            raise KeyboardInterrupt
        modes.append(flushed)

    monkeypatch.setattr(processor.torch, "set_flush_denormal", set_mode)
    with pytest.raises(KeyboardInterrupt), processor.flushed_denormals():
        pass
    assert modes == [True, False]
