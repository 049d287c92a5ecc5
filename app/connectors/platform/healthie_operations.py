"""What we ask of Healthie: names of fields and arguments are those of its reference for the version 2026-01-01."""

USER = "query user($id: ID) { user(id: $id) { id record_identifier } }"
USERS = """
query users($keywords: String, $first: Int, $after: String) {
  users(keywords: $keywords, show_all_by_default: true, first: $first, after: $after) {
    nodes { id record_identifier }
    page_info { has_next_page end_cursor }
  }
}
"""
CREATE_CLIENT = """
mutation createClient($input: createClientInput) {
  createClient(input: $input) { user { id record_identifier } messages { field message } }
}
"""
DOCUMENT = "query document($id: ID) { document(id: $id) { id metadata created_at } }"
DOCUMENTS = """
query documents($patient: String, $first: Int, $after: String) {
  documents(consolidated_user_id: $patient, order_by: CREATED_AT_ASC, first: $first, after: $after) {
    nodes { id metadata created_at }
    page_info { has_next_page end_cursor }
  }
}
"""
CREATE_DOCUMENT = """
mutation createDocument($input: createDocumentInput) {
  createDocument(input: $input) { document { id } messages { field message } }
}
"""
DELETE_DOCUMENT = """
mutation deleteDocument($input: deleteDocumentInput) {
  deleteDocument(input: $input) { document { id } messages { field message } }
}
"""
WEBHOOKS = """
query webhooks($first: Int, $after: String) {
  webhooks(first: $first, after: $after) {
    nodes { id url is_enabled signature_secret }
    page_info { has_next_page end_cursor }
  }
}
"""
CREATE_WEBHOOK = """
mutation createWebhook($input: createWebhookInput) {
  createWebhook(input: $input) { webhook { id is_enabled signature_secret } messages { field message } }
}
"""
UPDATE_WEBHOOK = """
mutation updateWebhook($input: updateWebhookInput) {
  updateWebhook(input: $input) { webhook { id is_enabled } messages { field message } }
}
"""
