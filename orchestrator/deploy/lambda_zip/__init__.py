"""Builds the zip that the Lambda functions run, from a checkout or an installed orgmfa, on any machine.

`build` tells the story: `dependencies` fetches what is locked for the Lambda's `runtime`, `file_selection` chooses
what goes in, `sbom` lists it, `bytecode` compiles it, `reproducible_zip` writes it. AWS is not called, and nothing of
this is in the zip itself.
"""

from orchestrator.deploy.lambda_zip.build import Package, build_package

__all__ = ["Package", "build_package"]
