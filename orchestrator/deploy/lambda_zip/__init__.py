"""Builds the zip that the Lambda functions run, from a checkout or an installed orgmfa, on any machine.

`building` tells the story: `lock` reads what is pinned and `wheels` fetches it for the Lambda's platform (`target`),
`contents` chooses what goes in, `bill` lists it, `bytecode` compiles it, `zipping` writes it. AWS is not called, and
nothing of this is in the zip itself.
"""

from orchestrator.deploy.lambda_zip.build import Package, build_package

__all__ = ["Package", "build_package"]
