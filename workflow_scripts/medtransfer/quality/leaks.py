"""Training images that a test split holds too: what a task must not train on."""

import pandas as pd

from medtransfer.errors import UserError

SHOWN = 5


def leaks(pairs: pd.DataFrame, train_cohort: str, test_cohorts: list[str]) -> pd.DataFrame:
    """The images of a cohort's training split that duplicate an image of a test split.

    Args:
        pairs: What `duplicates` returns. Images that pairs connect count as one picture, also where the path between
            them leads through a third.
        train_cohort: The cohort that is trained on.
        test_cohorts: The cohorts whose test splits are predicted; its own may be among them.

    Returns:
        `dataset`, `image_id` and `reason` of each image to leave out of training, in order.
    """
    members = [
        pairs[["group", *(f"{column}_{side}" for column in ("cohort", "split", "dataset", "image_id"))]]
        for side in "ab"
    ]
    listed = pd.concat(
        [side.rename(columns=lambda name: name.removesuffix("_a").removesuffix("_b")) for side in members]
    )
    listed = listed.drop_duplicates(["cohort", "image_id"]).sort_values(["cohort", "image_id"])
    trained = listed[(listed["cohort"] == train_cohort) & (listed["split"] == "train")]
    tested = listed[listed["cohort"].isin(test_cohorts) & (listed["split"] == "test")]
    names = (tested["cohort"] + " " + tested["image_id"].astype(str)).groupby(tested["group"])
    reasons = trained["group"].map(names.agg(lambda group: f"duplicate of {', '.join(group)}, in the test split"))
    return (
        trained.assign(reason=reasons).dropna(subset="reason")[["dataset", "image_id", "reason"]].reset_index(drop=True)
    )


def refuse_leaks(found: pd.DataFrame, task: str, path: str) -> None:
    """Stop before anything is trained on images that it is tested on.

    Args:
        found: What `leaks` returns.
        task: The task's name.
        path: The file that holds `found`.

    Raises:
        UserError: There are leaks; it names some and the line of the configuration that leaves them out.
    """
    if found.empty:
        return
    some = "\n".join(f"  {row.dataset} {row.image_id}: {row.reason}" for row in found.head(SHOWN).itertuples())
    more = f"\n  and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise UserError(
        f"Task {task}: {len(found)} training images are tested on as well:\n{some}{more}\n"
        f"Look at them in {path}. To leave them out, copy that file to config/excluded/{task}.csv and add to the "
        f"configuration:\n  exclude: [config/excluded/{task}.csv]"
    )
