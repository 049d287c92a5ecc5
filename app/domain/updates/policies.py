"""Who works with patients sees how a provider's subscriptions stand; administrators turn them on and off."""

from app.domain.connections.policies import may_administer, readable

__all__ = ["may_administer", "readable"]
