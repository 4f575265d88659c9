"""Does: Amazon ECS: `api/ecs/<noun>.py`, the function is the operation.
May import: api.call, store, wire, link, rules, model, base.
Does not: import another service; it reads their tables.
"""

from typing import Final

from moorage.api.call import Operation
from moorage.api.ecs import (
    account_settings,
    attributes,
    clusters,
    container_instances,
    execute_command,
    registration,
    resource_tags,
    task_definition_lists,
    task_definitions,
    task_lookup,
    task_reports,
    tasks,
)

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
    "RegisterContainerInstance": registration.register_container_instance,
    "DiscoverPollEndpoint": registration.discover_poll_endpoint,
    "SubmitTaskStateChange": task_reports.submit_task_state_change,
    "SubmitContainerStateChange": task_reports.submit_container_state_change,
    "SubmitAttachmentStateChanges": task_reports.submit_attachment_state_changes,
    "DescribeContainerInstances": container_instances.describe_container_instances,
    "ListContainerInstances": container_instances.list_container_instances,
    "UpdateContainerInstancesState": container_instances.update_container_instances_state,
    "DeregisterContainerInstance": container_instances.deregister_container_instance,
    "PutAttributes": attributes.put_attributes,
    "DeleteAttributes": attributes.delete_attributes,
    "ListAttributes": attributes.list_attributes,
    "RunTask": tasks.run_task,
    "StartTask": tasks.start_task,
    "StopTask": tasks.stop_task,
    "ExecuteCommand": execute_command.execute_command,
    "DescribeTasks": task_lookup.describe_tasks,
    "ListTasks": task_lookup.list_tasks,
}
