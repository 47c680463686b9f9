"""Base classes of the estimators, and the parameters that they share.

Each base class is one step of the work of an estimator and inherits from the one above:

- `InputChecker` (inputs): validates parameters and data.
- `PredictingNetwork` (prediction): logits, hidden activations, ``coefs_``.
- `TrainingDataBuilder` (training_data): builds data sets, batches and scorers.
- `NetworkBuilder` (building): builds the network and its net.
- `StoredNetwork` (storage): converts to and from the content of a model file.
- `PickledNetwork` (pickling): content of pickles and copies.
- `TrainedNetwork` (fit_results): checks a training and sets the fitted attributes.
- `BaseNetwork` (network): the steps of `fit`.
- `LabeledNetwork` (labels): targets and class weights of classifiers.
- `BaseClassifier` (classifier): the public methods of classifiers.
- `ConvolutionalNetwork` (convolution): shapes of images, and convolutional networks.
- `BaseRegressor` (regressor): targets and public methods of regressors.

An estimator provides these hooks. The first three are always its own, and classifiers
inherit the next three from `LabeledNetwork` and `BaseClassifier`:

- ``__init__``: stores its arguments by `set_init_arguments`.
- ``_parameters_not_shared``: texts and constraints of its own parameters.
- ``_make_network``: returns the torch module from samples to logits.
- ``_make_loss``: returns the loss function.
- ``_set_target_attributes``, ``_encode_targets``: number and encoding of the outputs.
- ``_score_logits``: returns the value of `score`.

These hooks have a default:

- ``_check_new_targets``: raises if y does not fit the previous fit.
- ``_loss_weights``: weights of the samples in the loss.
- ``_initializer_name``, ``_uses_class_priors``: the meaning of ``init='auto'``.
- ``_set_image_shape``: sets ``image_shape_``.
- ``_matches_sklearn_validation``: whether early stopping equals scikit-learn's.
- ``_validation_strata``, ``_train_size_strata``: strata of the two subsets.
- ``_give_classes_to_scorer``: adapts a scorer to a set that may lack classes.
- ``_compute_logits``: computes logits for predictions.
- ``_noise_function``: adds noise to the features of training batches.
- ``_changes_samples_alone``: whether a GPU may change many batches at once.
- ``_describe_target_scale``: part of an error message.
"""
