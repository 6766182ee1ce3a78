"""Faults that other authorizers shipped, and where each is tested here: one entry for each, by its public number.

O is OpenFGA, S is SpiceDB. `fault` says in a line what was wrong. `tests` are the tests whose scenario shows relgraph
right, and its vulnerable twin wrong: `file::test` in this folder. `why_not` says why a fault cannot be one here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ADVISORIES", "Advisory"]


class Advisory(NamedTuple):
    """One fault of another authorizer. Either `tests` or `why_not` is set, or both where a part does not apply."""

    ids: tuple[str, ...]
    fault: str
    tests: tuple[str, ...] = ()
    why_not: str = ""


ADVISORIES: Final = (
    # --- whom a tuple names -------------------------------------------------------------------------------------------
    Advisory(
        ("O CVE-2022-39341", "O CVE-2022-39342", "O CVE-2022-39352"),
        "an arrow ran over a relation that holds a wildcard, or that is computed",
        ("test_advisories_kinds.py::test_a_tupleset_is_plain_and_written",),
    ),
    Advisory(
        ("O CVE-2022-23542",),
        "tuples that an older schema let in still counted",
        (
            "test_advisories_kinds.py::test_a_tuple_of_an_older_schema_does_not_count",
            "test_advisories_kinds.py::test_a_stale_exclusion_does_not_count_either",
            "test_advisories_kinds.py::test_a_schema_that_would_orphan_tuples_is_refused",
            "test_advisories_kinds.py::test_an_import_is_judged_like_a_write",
        ),
    ),
    Advisory(
        ("O CVE-2025-25196",),
        "a userset was covered by the wildcard of its type",
        (
            "test_advisories_kinds.py::test_a_wildcard_does_not_cover_a_userset",
            "test_advisories_kinds.py::test_an_excluded_wildcard_does_not_cover_a_userset_either",
            "test_advisories_kinds.py::test_a_userset_holds_no_wildcard",
        ),
    ),
    Advisory(
        ("O CVE-2025-55213",),
        "two usersets of one type were taken for one",
        ("test_advisories_kinds.py::test_usersets_of_one_type_are_told_apart",),
    ),
    Advisory(
        ("O CVE-2025-64751",),
        "a wildcard without a condition counted where only one with it is taken",
        (
            "test_advisories_conditions.py::test_a_wildcard_without_its_condition_does_not_count",
            "test_advisories_kinds.py::test_a_trait_is_part_of_what_a_relation_takes",
        ),
    ),
    Advisory(
        ("O CVE-2025-48371",),
        "a contextual tuple of a kind that the relation does not take gave access to everybody",
        (
            "test_advisories_brought.py::test_a_brought_tuple_is_judged_like_a_written_one",
            "test_advisories_brought.py::test_bringing_tuples_takes_a_scope",
        ),
    ),
    # --- the walk -----------------------------------------------------------------------------------------------------
    Advisory(
        ("O CVE-2023-35933", "O CVE-2023-43645"),
        "models that lead to themselves ran without end, or out of the stack",
        (
            "test_advisories_walk.py::test_a_circle_of_groups_is_answered",
            "test_advisories_walk.py::test_a_resource_that_is_its_own_parent_is_answered",
            "test_advisories_walk.py::test_depth_needs_no_stack",
            "test_advisories_walk.py::test_permissions_that_are_only_each_other_are_refused",
        ),
    ),
    Advisory(
        ("O CVE-2024-31452",),
        "errors and cycles below an intersection or an exclusion gave access",
        (
            "test_advisories_walk.py::test_an_open_question_is_not_a_no",
            "test_advisories_walk.py::test_an_exclusion_that_could_not_be_read_grants_nothing",
            "test_advisories_conditions.py::test_a_condition_that_fails_in_an_exclusion_grants_nothing",
        ),
    ),
    Advisory(
        ("O CVE-2024-42473",),
        "a short way was wrong for an exclusion behind an arrow behind a userset",
        ("test_advisories_walk.py::test_the_short_way_is_taken_for_unions_only",),
    ),
    Advisory(
        ("O CVE-2025-46331",),
        "a no that came out while a cycle was being cut was kept, and believed elsewhere",
        ("test_advisories_walk.py::test_a_no_below_a_circle_is_not_kept",),
    ),
    Advisory(
        ("S CVE-2024-38361",),
        "an exclusion behind one of an arrow's objects ended the search over all of them",
        ("test_advisories_walk.py::test_an_exclusion_behind_one_object_of_an_arrow_says_nothing_of_the_others",),
    ),
    Advisory(
        ("S CVE-2024-46989", "S CVE-2024-48909", "S CVE-2025-49011"),
        "of several ways under conditions one hid the others, and the answer was no",
        (
            "test_advisories_conditions.py::test_of_several_conditional_ways_none_hides_another",
            "test_advisories_lists.py::test_of_two_conditions_on_one_subject_both_count",
        ),
    ),
    # --- keys ---------------------------------------------------------------------------------------------------------
    Advisory(
        ("O CVE-2024-56323", "O CVE-2026-41131"),
        "answers were kept under a key without the conditions of contextual tuples, or without the context",
        (
            "test_advisories_brought.py::test_conditions_of_brought_tuples_count",
            "test_advisories_conditions.py::test_a_context_is_gone_with_its_request",
            "test_advisories_keys.py::test_nothing_is_remembered_from_one_request_to_the_next",
        ),
    ),
    Advisory(
        ("O CVE-2026-33729", "O CVE-2026-34972", "S CVE-2026-46668"),
        "keys put together from texts ran into each other: a comma in a list, a list in a list, marks in a text",
        (
            "test_advisories_conditions.py::test_contexts_that_differ_are_told_apart",
            "test_advisories_conditions.py::test_contexts_are_told_apart_over_the_wire",
            "test_advisories_conditions.py::test_conditions_of_two_tuples_are_told_apart",
            "test_advisories_conditions.py::test_no_two_contexts_share_a_text",
            "test_advisories_keys.py::test_two_writes_never_share_a_request_id",
            "test_advisories_keys.py::test_no_two_things_share_a_key",
            "test_advisories_keys.py::test_questions_asked_at_once_are_told_apart",
            "test_advisories_keys.py::test_objects_of_two_types_are_told_apart",
        ),
    ),
    Advisory(
        ("O CVE-2026-48096",),
        "what was read under one filter was taken for another one's",
        (
            "test_advisories_keys.py::test_a_cursor_fits_no_other_filter",
            "test_advisories_keys.py::test_steps_of_a_search_are_told_apart",
        ),
    ),
    Advisory(
        ("S CVE-2026-55866",),
        "a lookup left answers behind that a check believed: conditional became yes",
        ("test_advisories_conditions.py::test_a_context_is_gone_with_its_request",),
    ),
    Advisory(
        ("O #3148",),
        "the hash of keys could be foreseen, so that two of them could be made to meet",
        why_not="no answer is kept under a hash: what is remembered within a request is found by equality",
    ),
    # --- lists --------------------------------------------------------------------------------------------------------
    Advisory(
        ("O CVE-2023-40579", "S CVE-2022-21646"),
        "a list left an intersection or an exclusion out, behind an arrow or beside a wildcard",
        (
            "test_lookup_advisories.py::test_openfga_cve_2023_40579_what_is_inherited_is_decided",
            "test_lookup_advisories.py::test_cve_2022_21646_a_wildcard_under_intersection_and_exclusion",
        ),
    ),
    Advisory(
        ("S #3136", "S #3140"),
        "a subject that is excluded was listed under a wildcard in an intersection",
        ("test_lookup_advisories.py::test_spicedb_1_54_0_a_subject_excluded_from_a_wildcard_in_an_intersection",),
    ),
    Advisory(
        ("S CVE-2024-32001",),
        "subjects were dropped whose type is reached through several usersets",
        ("test_lookup_advisories.py::test_cve_2024_32001_one_type_through_several_relations",),
    ),
    Advisory(
        ("S CVE-2025-65111", "O #2721"),
        "a relation read both for its members and as the way to others was followed once",
        ("test_lookup_advisories.py::test_cve_2025_65111_a_relation_read_twice",),
    ),
    Advisory(
        ("O CVE-2026-24851",),
        "a merge of ordered tuples stepped over some, with a wildcard beside a subject's own tuple",
        ("test_advisories_lists.py::test_a_wildcard_beside_ones_own_tuple_hides_no_other",),
    ),
    Advisory(
        ("O #3296",),
        "a list gave what an exclusion takes away, when reading the exclusion failed",
        ("test_lookup_advisories.py::test_openfga_3296_an_error_in_an_exclusion_lists_nothing",),
    ),
    Advisory(
        ("S CVE-2023-35930",),
        "a list that was cut short looked whole",
        ("test_lookup_advisories.py::test_cve_2023_35930_what_is_incomplete_is_an_error",),
    ),
    Advisory(
        ("O CVE-2023-45810", "O CVE-2024-23820"),
        "lists held on to memory and threads after their deadline",
        (
            "test_advisories_lists.py::test_a_list_that_fails_leaves_nothing_behind",
            "test_advisories_server.py::test_requests_that_fail_leave_nothing_behind",
            "test_advisories_server.py::test_callers_who_leave_leave_nothing_behind",
        ),
    ),
    # --- cursors and revisions ----------------------------------------------------------------------------------------
    Advisory(
        ("S GHSA-vhvq",),
        "a damaged cursor brought the server down",
        (
            "test_advisories_server.py::test_a_damaged_cursor_is_refused",
            "test_advisories_server.py::test_a_made_up_cursor_is_no_way_into_the_past",
        ),
    ),
    Advisory(
        ("O #3152",),
        "a token was taken apart at a mark that stood in a name",
        ("test_advisories_keys.py::test_a_cursor_holds_any_id",),
    ),
    Advisory(
        ("O #3155", "O #2811"),
        "what was read during a write, or before it, outlived the write in a cache",
        (
            "test_advisories_stores.py::test_a_write_is_never_seen_half",
            "test_advisories_keys.py::test_nothing_is_remembered_from_one_request_to_the_next",
        ),
    ),
    Advisory(
        ("O #3145",),
        "contextual tuples stood out of order among stored ones, and access was refused",
        ("test_advisories_brought.py::test_the_order_of_brought_tuples_makes_no_difference",),
    ),
    Advisory(
        ("O #3125", "O #2947"),
        "a branch that was cancelled was remembered as a no",
        ("test_advisories_walk.py::test_an_exclusion_that_could_not_be_read_grants_nothing",),
    ),
    Advisory(
        ("S MemDB", "S revision compare"),
        "a write was not there at its own revision; revisions of histories that had parted were ordered",
        (
            "test_advisories_stores.py::test_a_write_is_seen_at_its_own_revision",
            "test_advisories_stores.py::test_a_token_of_another_history_is_refused",
        ),
    ),
    Advisory(
        ("S read replica",),
        "a copy that lagged behind answered without a definition, or swallowed its errors",
        (
            "test_advisories_stores.py::test_a_copy_that_lags_behind_does_not_answer",
            "test_advisories_stores.py::test_a_new_schema_is_there_with_its_tuples",
        ),
    ),
    # --- writes and ids -----------------------------------------------------------------------------------------------
    Advisory(
        ("S CVE-2025-64529",),
        "a write too large for the database failed and was acknowledged: exclusions were missing",
        (
            "test_advisories_stores.py::test_a_write_over_the_limit_is_refused_whole",
            "test_advisories_stores.py::test_a_write_that_fails_at_the_end_is_not_acknowledged",
            "test_advisories_stores.py::test_a_write_happens_whole_or_not_at_all",
        ),
    ),
    Advisory(
        ("S CVE-2024-27101",),
        "a count of more than 65,535 items overflowed",
        ("test_advisories_stores.py::test_what_is_acknowledged_can_be_read",),
    ),
    Advisory(
        ("O CVE-2026-55170", "S MySQL collation"),
        "a database compared ids as people read them: `Alice` was `alice`",
        ("test_advisories_stores.py::test_ids_are_compared_byte_by_byte",),
    ),
    # --- the door -----------------------------------------------------------------------------------------------------
    Advisory(
        ("O CVE-2022-39340",),
        "a method that answers in a stream asked for no key",
        ("test_advisories_server.py::test_every_method_wants_a_key_streams_too",),
    ),
    Advisory(
        ("O CVE-2026-55689",),
        "a protection was left out because a setting was missing",
        (
            "test_advisories_server.py::test_half_a_protection_is_no_setting",
            "test_advisories_server.py::test_keys_that_cannot_be_read_open_nothing",
        ),
        why_not="tokens of another issuer, and so their audience, are not served: keys are the server's own",
    ),
    Advisory(
        ("O CVE-2026-40293",),
        "a page for browsers held the server's key",
        ("test_advisories_server.py::test_nobody_is_shown_where_secrets_are",),
    ),
    Advisory(
        ("S CVE-2023-29193", "S CVE-2023-46255", "S CVE-2026-40091"),
        "passwords of the database stood in errors and in pages for debugging",
        ("test_advisories_server.py::test_no_password_is_told",),
    ),
    Advisory(
        ("O #3168",),
        "how long a key was compared told how much of it was right",
        ("test_advisories_server.py::test_finding_a_key_takes_as_long_whichever_it_is",),
    ),
    Advisory(
        ("O #3057",),
        "a page for discovery named whatever host its reader had sent",
        ("test_advisories_server.py::test_nobody_is_shown_where_secrets_are",),
        why_not="there is no page for discovery; that no page repeats what it was sent is tested all the same",
    ),
)
