"""Larkspur, the sample organization: an example of each situation that the program knows.

root
|-- Larkspur (management account)  break-glass user, protected
|-- Security
|   |-- Log Archive                clean: virtual and FIDO devices
|   `-- Security Tooling           exempt user, an exemption that ends soon
|-- Infrastructure
|   |-- Network                    no alias; root user without MFA
|   `-- Shared Services            EnforceMFA drifted: its users are held
|-- Workloads
|   |-- Production
|   |   |-- Webshop Production     service user, users with a path; enforced earlier, enrolled since
|   |   |-- Payments Production    access keys in use and out of use; root credentials gone
|   |   `-- Data Platform          policy quota full, both quotas full, enforced by the group
|   `-- Development
|       |-- Webshop Development    enrolled a minute ago, created a minute ago, in grace
|       `-- Mobile Development     an exemption that has ended, a password never used; quota of 20, a guard
|-- Experiments
|   `-- Hackathon <!channel>       a name that must not wake up a Slack channel
|-- Acquisitions
|   `-- Tidewater Legacy           the StackSet has not been here: no member role
|-- Quarantine
|   `-- Forensics                  an SCP denies everything
`-- Suspended
    `-- Old Campaign Site          suspended
"""

from datetime import timedelta

from orchestrator.domain.model import Via
from orchestrator.sandbox.sample_types import (
    Mfa,
    RootSignIn,
    SampleAccount,
    SampleKey,
    SampleOrganization,
    SampleUnit,
    SampleUser,
)

MINUTE_AGO = timedelta(minutes=1)
YESTERDAY = timedelta(days=1)
LAST_YEAR = timedelta(days=300)

MANAGEMENT = SampleAccount(
    id="210987654321",
    name="Larkspur",
    alias="larkspur",
    users=(
        SampleUser(name="break-glass-1"),
        SampleUser(name="ingrid.holm", mfa=Mfa.VIRTUAL),
    ),
)

LOG_ARCHIVE = SampleAccount(
    id="014725836900",  # begins with 0: an ID is a text, never a number
    name="Log Archive",
    alias="larkspur-logs",
    users=(
        SampleUser(name="jonas.weber", mfa=Mfa.VIRTUAL),
        SampleUser(name="priya.nair", mfa=Mfa.FIDO),
    ),
)

SECURITY_TOOLING = SampleAccount(
    id="251436475869",
    name="Security Tooling",
    alias="larkspur-security",
    users=(
        SampleUser(name="amara.okafor", mfa=Mfa.FIDO),
        SampleUser(name="soc-wallboard"),
    ),
)

NETWORK = SampleAccount(
    id="302468135790",
    name="Network",
    root=RootSignIn.WITHOUT_MFA,
    users=(
        SampleUser(name="tom.becker"),
        SampleUser(name="lucia.ferrari", mfa=Mfa.VIRTUAL),
    ),
)

SHARED_SERVICES = SampleAccount(
    id="341592653589",
    name="Shared Services",
    alias="larkspur-shared",
    has_drifted_policy=True,
    users=(
        SampleUser(name="daniel.osei"),
        SampleUser(name="hana.sato", enforced=Via.USER),
        SampleUser(name="marek.novak", mfa=Mfa.VIRTUAL),
    ),
)

WEBSHOP_PRODUCTION = SampleAccount(
    id="410293847560",
    name="Webshop Production",
    alias="larkspur-webshop",
    users=(
        SampleUser(name="aiko.tanaka"),
        SampleUser(name="chen.wei", path="/contractors/brightline/"),
        SampleUser(name="deploy-pipeline", has_console_password=False, keys=(SampleKey(YESTERDAY), SampleKey())),
        SampleUser(name="fatima.khan", enforced=Via.USER),
        SampleUser(name="liam.murphy", enforced=Via.USER, mfa=Mfa.VIRTUAL, enrolled_ago=timedelta(days=20)),
        SampleUser(name="sofia.lindgren", mfa=Mfa.VIRTUAL),
    ),
)

PAYMENTS_PRODUCTION = SampleAccount(
    id="427180904523",
    name="Payments Production",
    alias="larkspur-payments",
    root=RootSignIn.IMPOSSIBLE,
    users=(
        SampleUser(name="elena.petrova", keys=(SampleKey(YESTERDAY),)),
        SampleUser(name="omar.haddad", keys=(SampleKey(LAST_YEAR),)),
        SampleUser(name="ingrid.vance", is_bound=True),
    ),
)

DATA_PLATFORM = SampleAccount(
    id="463215789044",
    name="Data Platform",
    alias="larkspur-data",
    users=(
        SampleUser(name="grace.mbeki", policies=10),
        SampleUser(name="nils.andersen", policies=10, groups=10),
        SampleUser(name="rosa.delgado", policies=10, enforced=Via.GROUP),
        SampleUser(name="yusuf.demir", mfa=Mfa.FIDO, policies=10, groups=10),
    ),
)

WEBSHOP_DEVELOPMENT = SampleAccount(
    id="518273645501",
    name="Webshop Development",
    alias="larkspur-webshop-dev",
    users=(
        SampleUser(name="kofi.asante", mfa=Mfa.FIDO, enrolled_ago=MINUTE_AGO),
        SampleUser(name="maya.cohen", created_ago=timedelta(days=3)),
        SampleUser(name="ruben.vogel", created_ago=MINUTE_AGO),
        SampleUser(name="tessa.brandt"),
    ),
)

MOBILE_DEVELOPMENT = SampleAccount(
    id="536914872205",
    name="Mobile Development",
    alias="larkspur-mobile-dev",
    policies_per_user=20,
    users=(
        SampleUser(name="olga.smirnova", signed_in_ago=None),
        SampleUser(name="pavel.horak", policies=10, is_guarded=True),
    ),
)

HACKATHON = SampleAccount(
    id="605938271146",
    name="Hackathon <!channel>",
    users=(SampleUser(name="@guest", policies=0, groups=0),),
)

TIDEWATER_LEGACY = SampleAccount(
    id="719284650037",
    name="Tidewater Legacy",
    alias="tidewater",
    has_member_roles=False,
    users=(SampleUser(name="admin"),),
)

FORENSICS = SampleAccount(id="733861920458", name="Forensics", alias="larkspur-forensics", is_denied_by_scp=True)

OLD_CAMPAIGN_SITE = SampleAccount(id="840617293550", name="Old Campaign Site", is_suspended=True)

LARKSPUR = SampleOrganization(
    management_account=MANAGEMENT,
    units=(
        SampleUnit("Security", accounts=(LOG_ARCHIVE, SECURITY_TOOLING)),
        SampleUnit("Infrastructure", accounts=(NETWORK, SHARED_SERVICES)),
        SampleUnit(
            "Workloads",
            units=(
                SampleUnit("Production", accounts=(WEBSHOP_PRODUCTION, PAYMENTS_PRODUCTION, DATA_PLATFORM)),
                SampleUnit("Development", accounts=(WEBSHOP_DEVELOPMENT, MOBILE_DEVELOPMENT)),
            ),
        ),
        SampleUnit("Experiments", accounts=(HACKATHON,)),
        SampleUnit("Acquisitions", accounts=(TIDEWATER_LEGACY,)),
        SampleUnit("Quarantine", accounts=(FORENSICS,)),
        SampleUnit("Suspended", accounts=(OLD_CAMPAIGN_SITE,)),
    ),
)
