"""Deploys the stacks of orgmfa into the caller's account, and takes them down again.

`rollout` and `teardown` are the two sequences. `changes` changes one stack and waits for it, `function_code` makes the
zip, `view` prints. `parameters`, `messages` and `next_steps` are pure.
"""
