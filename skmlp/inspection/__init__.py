"""Looking at networks: what they are made of, how they learnt, what they see."""

from skmlp.inspection._summary import LayerSummary, Summary, summary

__all__ = ["LayerSummary", "Summary", "summary"]
