"""Builds the zip of the Lambda functions, from a checkout or an installed orgmfa, on any machine. Calls no AWS.

`build` runs the steps, compiles the files and writes the zip: `dependencies` downloads the locked packages for the
runtime and lists them, `file_selection` selects files. None of these modules is in the zip.
"""

from orchestrator.deploy.lambda_zip.build import Package, build_package

__all__ = ["Package", "build_package"]
