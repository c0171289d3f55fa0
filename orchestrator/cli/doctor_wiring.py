"""Builds what `orgmfa doctor` looks through from the configuration: real clients, archive and Slack."""

from orchestrator.aws.doctor_reads import RUN_ACTIONS, HubChecks, MemberChecks
from orchestrator.aws.enforcement import EnforcementPolicies, PolicySettings
from orchestrator.aws.organizations import Directory
from orchestrator.aws.retries import Retrier
from orchestrator.concurrency.cancellation import Cancellation
from orchestrator.doctor import DoctorContext, DoctorRequest, DoctorRun, run_checks
from orchestrator.domain.environment import slack_credentials
from orchestrator.pipeline.ports import Observer
from orchestrator.wiring import Hub, make_sessions, make_slack_client, read_caller


def run_doctor(hub: Hub, request: DoctorRequest, *, cancellation: Cancellation, observer: Observer) -> DoctorRun:
    """Check what a run needs, and return what was found.

    Raises StartError where nobody could be asked, ConfigError where an account or OU that was named does not exist.
    """
    retrier, clients, config = Retrier(cancellation), hub.clients, hub.config
    caller = read_caller(hub, retrier)
    settings = PolicySettings.from_config(config.policy, caller.partition)
    return run_checks(
        DoctorContext(
            request=request,
            config=config,
            caller=caller,
            region=clients.region,
            directory=Directory(clients.organizations, retrier),
            sessions=make_sessions(hub, retrier, partition=caller.partition, run_id=request.run_id),
            policies=EnforcementPolicies(clients.iam, retrier, settings),
            member=MemberChecks(clients.iam, retrier),
            hub=HubChecks(clients, retrier),
            store=hub.store,
            alias_by_account_id=hub.archive.alias_by_account_id,
            environment_slack=slack_credentials(hub.environment),
            probe_slack=lambda credentials: make_slack_client(credentials, config).probe(),
            run_actions=RUN_ACTIONS,
            now=hub.now,
            cancellation=cancellation,
            observer=observer,
        )
    )
