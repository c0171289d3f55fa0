"""How a report is shown: terminal, Slack digest, page, CSV, Security Hub. Pure but for the Slack client."""
