"""The one seam to CDKTF: every core and provider class that the stacks use.

The provider package's `__init__` imports all of its 2,212 submodules, which takes some twelve
seconds for the few that are used here. A parent package that is registered but not executed has
the same effect on the submodules and none of that cost; the synthesized JSON is the same.
"""

import importlib.util
import sys

_PROVIDER = "cdktf_cdktf_provider_aws"

if _PROVIDER not in sys.modules:
    _spec = importlib.util.find_spec(_PROVIDER)
    if _spec is None:
        raise ImportError(f"{_PROVIDER} is not installed: run `make setup`")
    sys.modules[_PROVIDER] = importlib.util.module_from_spec(_spec)

from cdktf import (  # noqa: E402
    App,
    Fn,
    LocalBackend,
    TerraformOutput,
    TerraformStack,
)
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity  # noqa: E402
from cdktf_cdktf_provider_aws.db_subnet_group import DbSubnetGroup  # noqa: E402
from cdktf_cdktf_provider_aws.default_security_group import DefaultSecurityGroup  # noqa: E402
from cdktf_cdktf_provider_aws.eip import Eip  # noqa: E402
from cdktf_cdktf_provider_aws.internet_gateway import InternetGateway  # noqa: E402
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias  # noqa: E402
from cdktf_cdktf_provider_aws.kms_key import KmsKey  # noqa: E402
from cdktf_cdktf_provider_aws.nat_gateway import NatGateway  # noqa: E402
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags  # noqa: E402
from cdktf_cdktf_provider_aws.rds_cluster import RdsCluster  # noqa: E402
from cdktf_cdktf_provider_aws.rds_cluster_instance import RdsClusterInstance  # noqa: E402
from cdktf_cdktf_provider_aws.route import Route  # noqa: E402
from cdktf_cdktf_provider_aws.route_table import RouteTable  # noqa: E402
from cdktf_cdktf_provider_aws.route_table_association import RouteTableAssociation  # noqa: E402
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket  # noqa: E402
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (  # noqa: E402
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
)
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import (  # noqa: E402
    S3BucketPublicAccessBlock,
)
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (  # noqa: E402
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.secretsmanager_secret import SecretsmanagerSecret  # noqa: E402
from cdktf_cdktf_provider_aws.security_group import SecurityGroup  # noqa: E402
from cdktf_cdktf_provider_aws.ssm_parameter import SsmParameter  # noqa: E402
from cdktf_cdktf_provider_aws.subnet import Subnet  # noqa: E402
from cdktf_cdktf_provider_aws.vpc import Vpc  # noqa: E402
from cdktf_cdktf_provider_aws.vpc_security_group_egress_rule import (  # noqa: E402
    VpcSecurityGroupEgressRule,
)
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import (  # noqa: E402
    VpcSecurityGroupIngressRule,
)

__all__ = [
    "App",
    "AwsProvider",
    "AwsProviderDefaultTags",
    "DataAwsCallerIdentity",
    "DbSubnetGroup",
    "DefaultSecurityGroup",
    "Eip",
    "Fn",
    "InternetGateway",
    "KmsAlias",
    "KmsKey",
    "LocalBackend",
    "NatGateway",
    "RdsCluster",
    "RdsClusterInstance",
    "Route",
    "RouteTable",
    "RouteTableAssociation",
    "S3Bucket",
    "S3BucketLifecycleConfiguration",
    "S3BucketLifecycleConfigurationRule",
    "S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload",
    "S3BucketLifecycleConfigurationRuleExpiration",
    "S3BucketLifecycleConfigurationRuleFilter",
    "S3BucketPublicAccessBlock",
    "S3BucketServerSideEncryptionConfigurationA",
    "S3BucketServerSideEncryptionConfigurationRuleA",
    "S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA",
    "SecretsmanagerSecret",
    "SecurityGroup",
    "SsmParameter",
    "Subnet",
    "TerraformOutput",
    "TerraformStack",
    "Vpc",
    "VpcSecurityGroupEgressRule",
    "VpcSecurityGroupIngressRule",
]
