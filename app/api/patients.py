"""The GraphQL edge of patients."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from app.api.connections import Provider
from app.api.identity import User
from app.api.kit import ids
from app.api.kit.connection import After, Connection, First, Search, connect
from app.api.kit.context import Info
from app.api.kit.enums import described
from app.api.kit.node import Node, of_row
from app.api.kit.payload import UserError, errors, refusable
from app.api.kit.permission import SignedIn
from app.api.platforms import Platform
from app.api.sync import SyncError, in_words
from app.domain.conflicts import queries as conflicts
from app.domain.conflicts.models import DetailsStatus
from app.domain.connections import queries as connections
from app.domain.documents import queries as documents
from app.domain.identity import queries as identity
from app.domain.patients import commands, models, queries
from app.domain.patients.models import PatientSyncStatus
from app.domain.patients.queries import PatientOrder
from app.domain.sync import queries as sync
from app.domain.updates import queries as updates

if TYPE_CHECKING:
    from app.api.documents import DocumentConnection, DocumentFilter, DocumentOrder
    from app.api.sync import SyncRun

Row = strawberry.Parent[models.Patient]

described(
    PatientSyncStatus,
    "PatientSyncStatus",
    "How a patient's latest synchronisation stands.",
    NEVER="There has been none.",
    QUEUED="It waits for a worker.",
    RUNNING="It is under way.",
    SUCCEEDED="Everything at the provider is here.",
    SUCCEEDED_WITH_GAPS="Something could not be had; the run names it.",
    FAILED="It could not be done; the run says why.",
    CANCELLED="Somebody stopped it.",
)
described(
    PatientOrder,
    "PatientOrder",
    "How patients are sorted.",
    NAME="By name.",
    NEWEST="The most recently added first.",
)


@strawberry.type(description="How to reach a patient.")
class ContactDetails:
    phone: str | None = strawberry.field(description="A telephone number.")
    address: str | None = strawberry.field(description="A postal address.")


@strawberry.type(description="What a patient eats and must not eat.")
class DietaryPreferences:
    allergies: list[str] = strawberry.field(description="Food allergies and intolerances.")
    restrictions: list[str] = strawberry.field(description="Diets and foods to avoid.")
    notes: str | None = strawberry.field(description="Anything else.")


@strawberry.type(description="A person in a dietician's care (FHIR: Patient).")
@of_row(models.Patient)
class Patient(Node):
    name: str = strawberry.field(description="The full name.")
    email: str | None = strawberry.field(description="The e-mail address.")
    birth_date: dt.date | None = strawberry.field(description="The date of birth.")
    medical_history: str | None = strawberry.field(description="What is medically relevant, in the dietician's words.")
    carepatron_patient_id: str | None = strawberry.field(description="The patient's id in the care platform.")
    provider_patient_id: str | None = strawberry.field(description="The patient's id at the primary provider.")
    sync_status: PatientSyncStatus = strawberry.field(description="How the latest synchronisation stands.")
    last_verified_at: dt.datetime | None = strawberry.field(
        description="When everything at the provider was last known to be here."
    )
    created_at: dt.datetime = strawberry.field(description="When the record was made.")
    updated_at: dt.datetime = strawberry.field(description="When the record last changed.")

    @strawberry.field(description="How to reach the patient.")
    def contact_details(self, root: Row) -> ContactDetails:
        stored = root.contact_details
        return ContactDetails(phone=stored.get("phone"), address=stored.get("address"))

    @strawberry.field(description="What the patient eats and must not eat.")
    def dietary_preferences(self, root: Row) -> DietaryPreferences:
        stored = root.dietary_preferences
        return DietaryPreferences(
            allergies=stored.get("allergies", []),
            restrictions=stored.get("restrictions", []),
            notes=stored.get("notes"),
        )

    @strawberry.field(
        description="How the details here stand to those at the provider; null for all but the responsible dietician."
    )
    async def details_status(self, root: Row, info: Info) -> DetailsStatus | None:
        found = await info.context.load(conflicts.standings, root.id)
        return found.status if found else None

    @strawberry.field(description="Why what was edited here could not be sent to the provider.")
    async def details_error(self, root: Row, info: Info) -> SyncError | None:
        found = await info.context.load(conflicts.standings, root.id)
        return in_words(found.error_code) if found and found.error_code else None

    @strawberry.field(description="When the provider's record was last compared with this one.")
    async def details_compared_at(self, root: Row, info: Info) -> dt.datetime | None:
        found = await info.context.load(conflicts.standings, root.id)
        return found.compared_at if found else None

    @strawberry.field(description="The responsible dietician.")
    async def dietician(self, root: Row, info: Info) -> User:
        return await info.context.load(identity.by_ids, root.user_id)

    @strawberry.field(description="The provider that documents come from.")
    async def primary_provider(self, root: Row, info: Info) -> Provider | None:
        return await info.context.load(connections.by_ids, root.primary_provider_id)

    @strawberry.field(description="The care platform that documents are handed to.")
    async def platform(self, root: Row, info: Info) -> Platform | None:
        return await info.context.load(connections.platforms_by_ids, root.platform_id)

    @strawberry.field(
        description="When the provider's schedule synchronises the patient next; null where there is none."
    )
    async def next_sync_at(self, root: Row, info: Info) -> dt.datetime | None:
        return await info.context.load(updates.next_turns, root.id)

    @strawberry.field(description="The latest synchronisation.")
    async def last_sync(self, root: Row, info: Info) -> Annotated["SyncRun", strawberry.lazy("app.api.sync")] | None:
        return await info.context.load(sync.latest_by_patient, root.id)

    @strawberry.field(description="The patient's documents.")
    async def documents(
        self,
        root: Row,
        info: Info,
        first: First,
        after: After = None,
        search: Search = None,
        filter: Annotated[  # noqa: A002
            Annotated["DocumentFilter", strawberry.lazy("app.api.documents")] | None,
            strawberry.argument(description="Which to list."),
        ] = None,
        order_by: Annotated[
            Annotated["DocumentOrder", strawberry.lazy("app.api.documents")] | None,
            strawberry.argument(description="How to sort; the newest first if not given."),
        ] = None,
    ) -> Annotated["DocumentConnection", strawberry.lazy("app.api.documents")]:
        wanted = filter.wanted(root.id) if filter else documents.Filter(patient_id=root.id)
        order = documents.ORDERS[order_by or documents.DocumentOrder.NEWEST]
        statement = documents.listed(info.context.actor, wanted, search)
        return await connect(info.context, statement, order, first, after, search)

    @strawberry.field(description="The patient's synchronisations, the latest first.")
    async def sync_runs(
        self, root: Row, info: Info, first: First, after: After = None
    ) -> Connection[Annotated["SyncRun", strawberry.lazy("app.api.sync")]]:
        statement = sync.listed(info.context.actor, root.id)
        return await connect(info.context, statement, sync.RUNS, first, after)


@strawberry.input(description="How to reach a patient.")
class ContactDetailsInput:
    phone: str | None = strawberry.field(default=None, description="A telephone number.")
    address: str | None = strawberry.field(default=None, description="A postal address.")


@strawberry.input(description="What a patient eats and must not eat.")
class DietaryPreferencesInput:
    allergies: list[str] | None = strawberry.field(default=None, description="Food allergies and intolerances.")
    restrictions: list[str] | None = strawberry.field(default=None, description="Diets and foods to avoid.")
    notes: str | None = strawberry.field(default=None, description="Anything else.")


@strawberry.input
class PatientFields:
    email: str | None = strawberry.field(default=None, description="The e-mail address.")
    birth_date: dt.date | None = strawberry.field(default=None, description="The date of birth.")
    contact_details: ContactDetailsInput | None = strawberry.field(
        default=None, description="How to reach the patient."
    )
    medical_history: str | None = strawberry.field(default=None, description="What is medically relevant.")
    dietary_preferences: DietaryPreferencesInput | None = strawberry.field(
        default=None, description="What the patient eats and must not eat."
    )
    primary_provider_id: strawberry.ID | None = strawberry.field(
        default=None, description="The provider that documents come from."
    )
    provider_patient_id: str | None = strawberry.field(
        default=None, description="The patient's id there (the logical id of the FHIR Patient)."
    )
    platform_id: strawberry.ID | None = strawberry.field(
        default=None, description="The care platform that takes the documents; the only one there is if not given."
    )

    def details(self, name: str | None) -> commands.Details:
        contact = self.contact_details or ContactDetailsInput()
        diet = self.dietary_preferences or DietaryPreferencesInput()
        provider, platform = self.primary_provider_id, self.platform_id
        return commands.Details(
            name=name,
            email=self.email,
            birth_date=self.birth_date,
            phone=contact.phone,
            address=contact.address,
            medical_history=self.medical_history,
            allergies=diet.allergies,
            restrictions=diet.restrictions,
            notes=diet.notes,
            primary_provider_id=ids.decode(provider, "Provider", "primaryProviderId") if provider else None,
            provider_patient_id=self.provider_patient_id,
            platform_id=ids.decode(platform, "Platform", "platformId") if platform else None,
        )


@strawberry.input(description="A change of a patient's record. What is not given stays as it is.")
class PatientUpdateInput(PatientFields):
    name: str | None = strawberry.field(default=None, description="The full name.")


@strawberry.input(description="A new patient.")
class PatientCreateInput(PatientFields):
    name: str = strawberry.field(description="The full name.")
    allow_duplicate: bool = strawberry.field(
        default=False, description="Create the record even though somebody like this is there already."
    )


@strawberry.input(description="Which patients to list.")
class PatientFilter:
    dietician_id: strawberry.ID | None = strawberry.field(default=None, description="Only this dietician's.")
    provider_id: strawberry.ID | None = strawberry.field(
        default=None, description="Only those connected to this provider."
    )
    sync_statuses: list[PatientSyncStatus] | None = strawberry.field(
        default=None, description="Only those whose latest synchronisation stands so."
    )


@strawberry.type(description="The answer to creating a patient.")
class PatientCreatePayload:
    patient: Patient | None = strawberry.field(default=None, description="The new record.")
    existing: Patient | None = strawberry.field(
        default=None, description="Somebody who is likely the same person: nothing was created."
    )
    user_errors: list[UserError] = errors()


@strawberry.type(description="The answer to changing a patient.")
class PatientPayload:
    patient: Patient | None = strawberry.field(default=None, description="The record as it is now.")
    user_errors: list[UserError] = errors()


@strawberry.type(description="The answer to deleting a patient.")
class PatientDeletePayload:
    deleted_id: strawberry.ID | None = strawberry.field(default=None, description="The id of what is gone.")
    user_errors: list[UserError] = errors()


@strawberry.type
class PatientsQuery:
    @strawberry.field(permission_classes=[SignedIn], description="The patients that the caller may see.")
    async def patients(
        self,
        info: Info,
        first: First,
        after: After = None,
        search: Search = None,
        filter: Annotated[PatientFilter | None, strawberry.argument(description="Which to list.")] = None,  # noqa: A002
        order_by: Annotated[
            PatientOrder | None, strawberry.argument(description="How to sort; by name if not given.")
        ] = None,
    ) -> Connection[Patient]:
        wanted = filter or PatientFilter()
        statement = queries.listed(
            info.context.actor,
            search=search,
            dietician_id=ids.decode(wanted.dietician_id, "User", "filter", "dieticianId")
            if wanted.dietician_id
            else None,
            provider_id=ids.decode(wanted.provider_id, "Provider", "filter", "providerId")
            if wanted.provider_id
            else None,
            sync_statuses=wanted.sync_statuses,
        )
        order = queries.ORDERS[order_by or PatientOrder.NAME]
        return await connect(info.context, statement, order, first, after, search)

    @strawberry.field(
        permission_classes=[SignedIn], description="One patient; null where there is none for the caller."
    )
    async def patient(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The patient.")],  # noqa: A002
    ) -> Patient | None:
        patient_id = ids.decode_or_none(id, "Patient")
        return await find(info, patient_id) if patient_id else None


@strawberry.type
class PatientsMutation:
    @strawberry.mutation(
        permission_classes=[SignedIn],
        description="Adds a patient (dieticians). Where somebody like this is there already, that record is returned instead.",
    )
    @refusable(PatientCreatePayload)
    async def patient_create(
        self,
        info: Info,
        input: Annotated[PatientCreateInput, strawberry.argument(description="The new record.")],  # noqa: A002
    ) -> PatientCreatePayload:
        created: Any = await info.context.execute(
            commands.create, info.context.actor, input.details(input.name), allow_duplicate=input.allow_duplicate
        )
        return PatientCreatePayload(patient=created.patient, existing=created.existing)

    @strawberry.mutation(permission_classes=[SignedIn], description="Changes a patient's record.")
    @refusable(PatientPayload)
    async def patient_update(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The patient.")],  # noqa: A002
        input: Annotated[PatientUpdateInput, strawberry.argument(description="The change.")],  # noqa: A002
    ) -> PatientPayload:
        patient: Any = await info.context.execute(
            commands.update, info.context.actor, ids.decode(id, "Patient", "id"), input.details(input.name)
        )
        return PatientPayload(patient=patient)

    @strawberry.mutation(
        permission_classes=[SignedIn], description="Deletes a patient's record and all that hangs on it."
    )
    @refusable(PatientDeletePayload)
    async def patient_delete(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The patient.")],  # noqa: A002
    ) -> PatientDeletePayload:
        await info.context.execute(commands.delete, info.context.actor, ids.decode(id, "Patient", "id"))
        return PatientDeletePayload(deleted_id=id)


async def find(info: Info, row_id: UUID) -> Any:
    return await info.context.read(queries.get, row_id)


NODES = {"Patient": find}
