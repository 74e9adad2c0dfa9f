"""What guiders that weaken the text have in common: the negative prompt."""

from mmdiff.values.context import Context


def negative_of(context: Context, negative_context: Context | None) -> Context:
    """The negative context, as given, so that all text guiders share one pass.

    Raises ValueError if there is none, or not one per row.
    """
    if negative_context is None:
        raise ValueError(
            "guidance by text needs a negative context: encode the negative prompt or the empty one"
        )
    if negative_context.batch_size != context.batch_size:
        raise ValueError(
            f"there are {negative_context.batch_size} negative contexts for {context.batch_size} "
            "contexts; give one per row"
        )
    return negative_context
