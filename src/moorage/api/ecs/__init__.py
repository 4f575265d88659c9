"""Does: Amazon ECS: `api/ecs/<noun>.py`, the function is the operation.
May import: api.call, store, wire, link, rules, model, base.
Does not: import another service; it reads their tables.
"""

from typing import Final

from moorage.api.call import Operation
from moorage.api.ecs import account_settings, clusters, resource_tags, task_definition_lists, task_definitions

OPERATIONS: Final[dict[str, Operation]] = {
    "CreateCluster": clusters.create_cluster,
    "DescribeClusters": clusters.describe_clusters,
    "ListClusters": clusters.list_clusters,
    "UpdateCluster": clusters.update_cluster,
    "UpdateClusterSettings": clusters.update_cluster,
    "PutClusterCapacityProviders": clusters.put_cluster_capacity_providers,
    "DeleteCluster": clusters.delete_cluster,
    "RegisterTaskDefinition": task_definitions.register_task_definition,
    "DescribeTaskDefinition": task_definitions.describe_task_definition,
    "DeregisterTaskDefinition": task_definitions.deregister_task_definition,
    "DeleteTaskDefinitions": task_definitions.delete_task_definitions,
    "ListTaskDefinitions": task_definition_lists.list_task_definitions,
    "ListTaskDefinitionFamilies": task_definition_lists.list_task_definition_families,
    "ListAccountSettings": account_settings.list_account_settings,
    "PutAccountSetting": account_settings.put_account_setting,
    "PutAccountSettingDefault": account_settings.put_account_setting_default,
    "DeleteAccountSetting": account_settings.delete_account_setting,
    "TagResource": resource_tags.tag_resource,
    "UntagResource": resource_tags.untag_resource,
    "ListTagsForResource": resource_tags.list_tags_for_resource,
}
