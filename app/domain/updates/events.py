"""The kinds of work that this context asks for."""

RECONCILE = "updates.reconcile"
"""Bring the Subscription at the provider in line with ours. Subject: our subscription."""
NOTIFIED = "updates.notified"
"""Find the patients that notifications are about. Subject: the subscription."""
EXPORT = "updates.export"
"""Take a provider's export of a whole group from its beginning to its end. Subject: the export."""
