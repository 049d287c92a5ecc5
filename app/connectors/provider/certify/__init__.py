from app.connectors.provider.certify.card import Card, Line, Verdict
from app.connectors.provider.certify.run import Wanted, certify

__all__ = ["Card", "Line", "Verdict", "Wanted", "certify"]
