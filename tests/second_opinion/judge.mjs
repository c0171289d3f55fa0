// Reads policies and requests from standard input, and writes what iam-simulate decides about each request, in order.

import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const { identity, scps, requests } = JSON.parse(readFileSync(0, 'utf8'))
const named = (policies) => policies.map((policy, index) => ({ name: `policy-${index}`, policy }))
const decisions = []
for (const { action, resource, context } of requests) {
  const answer = await runSimulation(
    {
      request: {
        principal: context['aws:PrincipalArn'],
        action,
        resource: { resource, accountId: context['aws:PrincipalAccount'] },
        contextVariables: context
      },
      identityPolicies: named(identity),
      serviceControlPolicies: [{ orgIdentifier: 'r-ab12', policies: named(scps) }],
      resourceControlPolicies: []
    },
    {}
  )
  decisions.push(answer.resultType === 'error' ? `error: ${JSON.stringify(answer.errors)}` : answer.overallResult)
}
process.stdout.write(JSON.stringify(decisions))
