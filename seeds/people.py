"""The demo's accounts and patients."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.domain.identity import commands as identity
from app.domain.identity.models import Role
from app.domain.patients.models import Patient
from seeds.generator import SyntheticPatient

PASSWORD = "healthy-eating-2026"  # noqa: S105 - the demo's, printed on the screen
ACCOUNTS = (
    ("dietician@demo.test", "Dana Whitfield", Role.DIETICIAN),
    ("dietician2@demo.test", "Rafael Monteiro", Role.DIETICIAN),
    ("practitioner@demo.test", "Ingrid Solberg", Role.PRACTITIONER),
    ("patient@demo.test", "", Role.PATIENT),
    ("admin@demo.test", "Ada Min", Role.ADMIN),
)
FIRST_SHARE = 15
"""How many of the patients the first dietician has; the others are the second's."""


async def accounts(session: AsyncSession, patient_name: str) -> dict[str, UUID]:
    """The demo accounts by their address; the patient's bears the name of the record that it belongs to."""
    return {
        email: await identity.ensure_user(session, email=email, name=name or patient_name, role=role, password=PASSWORD)
        for email, name, role in ACCOUNTS
    }


async def patients(
    session: AsyncSession,
    cohort: Sequence[SyntheticPatient],
    users: dict[str, UUID],
    provider_id: UUID,
    platform_id: UUID,
) -> int:
    """The cohort as patients of the two dieticians; those who are there already stay as they are. Returns how many are new."""
    rows = await session.scalars(select(Patient.provider_patient_id).where(Patient.primary_provider_id == provider_id))
    known = set(rows)
    new = [(number, person) for number, person in enumerate(cohort) if person.fhir_id not in known]
    for number, person in new:
        dietician = "dietician@demo.test" if number < FIRST_SHARE else "dietician2@demo.test"
        session.add(
            Patient(
                name=person.name,
                email=person.email,
                birth_date=date.fromisoformat(person.birth_date),
                contact_details={"phone": person.phone, "address": person.address},
                medical_history=person.medical_history,
                dietary_preferences={
                    "allergies": list(person.allergies),
                    "restrictions": list(person.restrictions),
                    "notes": person.notes,
                },
                user_id=users[dietician],
                account_id=users["patient@demo.test"] if number == 0 else None,
                primary_provider_id=provider_id,
                provider_patient_id=person.fhir_id,
                platform_id=platform_id,
            )
        )
    await session.flush()
    return len(new)
