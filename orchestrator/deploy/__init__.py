"""From a checkout to an organization with the roles in place, and the way back.

`rollout` and `teardown` are the two sequences; `change_sets` takes one stack from change set to event, `waiters` waits
for it. `templates`, `parameters`, `messages` and `next_steps` are pure. `cli` prints, and builds the adapters.
"""
