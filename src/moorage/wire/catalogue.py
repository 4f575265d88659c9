"""The AWS services that a request can be meant for: enough of each to route by, without reading its model.

A test compares every row with the models that botocore ships.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Known(NamedTuple):
    """One service; `name` is botocore's name for it."""

    name: str
    target_prefix: str  # what stands before the last dot of X-Amz-Target; "" where the protocol has none
    api_version: str  # what query and ec2 requests carry as Version
    signed_as: str  # the service's name in a credential scope


KNOWN: Final = (
    Known("acm", "CertificateManager", "2015-12-08", "acm"),
    Known("application-autoscaling", "AnyScaleFrontendService", "2016-02-06", "application-autoscaling"),
    Known("autoscaling", "", "2011-01-01", "autoscaling"),
    Known("batch", "", "2016-08-10", "batch"),
    Known("cloudformation", "", "2010-05-15", "cloudformation"),
    Known("cloudtrail", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101", "2013-11-01", "cloudtrail"),
    Known("cloudwatch", "GraniteServiceVersion20100801", "2010-08-01", "monitoring"),
    Known("codedeploy", "CodeDeploy_20141006", "2014-10-06", "codedeploy"),
    Known("dynamodb", "DynamoDB_20120810", "2012-08-10", "dynamodb"),
    Known("ec2", "", "2016-11-15", "ec2"),
    Known("ecr", "AmazonEC2ContainerRegistry_V20150921", "2015-09-21", "ecr"),
    Known("ecs", "AmazonEC2ContainerServiceV20141113", "2014-11-13", "ecs"),
    Known("efs", "", "2015-02-01", "elasticfilesystem"),
    Known("eks", "", "2017-11-01", "eks"),
    Known("elasticbeanstalk", "", "2010-12-01", "elasticbeanstalk"),
    Known("elb", "", "2012-06-01", "elasticloadbalancing"),
    Known("elbv2", "", "2015-12-01", "elasticloadbalancing"),
    Known("events", "AWSEvents", "2015-10-07", "events"),
    Known("iam", "", "2010-05-08", "iam"),
    Known("kms", "TrentService", "2014-11-01", "kms"),
    Known("lambda", "", "2015-03-31", "lambda"),
    Known("logs", "Logs_20140328", "2014-03-28", "logs"),
    Known("resourcegroupstaggingapi", "ResourceGroupsTaggingAPI_20170126", "2017-01-26", "tagging"),
    Known("route53", "", "2013-04-01", "route53"),
    Known("s3", "", "2006-03-01", "s3"),
    Known("scheduler", "", "2021-06-30", "scheduler"),
    Known("secretsmanager", "secretsmanager", "2017-10-17", "secretsmanager"),
    Known("service-quotas", "ServiceQuotasV20190624", "2019-06-24", "servicequotas"),
    Known("servicediscovery", "Route53AutoNaming_v20170314", "2017-03-14", "servicediscovery"),
    Known("sns", "", "2010-03-31", "sns"),
    Known("sqs", "AmazonSQS", "2012-11-05", "sqs"),
    Known("ssm", "AmazonSSM", "2014-11-06", "ssm"),
    Known("stepfunctions", "AWSStepFunctions", "2016-11-23", "states"),
    Known("sts", "", "2011-06-15", "sts"),
)
