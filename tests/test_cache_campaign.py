"""Small rounds of the campaign of the disk cache (`tests/cache_campaign.py`)."""

from __future__ import annotations

import os

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the campaign needs POSIX signals, rights and limits")
if os.name == "posix":
    from tests import cache_campaign as campaign


def test_processes_share_an_empty_folder() -> None:
    total = campaign.run_rounds(1, 3, 5, 0)
    assert campaign.faults_in(total) == 0 and total["warned"] == 0
    assert total["hit"] + total["miss"] == 15


def test_killed_processes() -> None:
    total = campaign.run_kills(2, 0)
    assert campaign.faults_in(total) == 0 and total["killed"] == 2


def test_corrupted_entries() -> None:
    total = campaign.run_corruptions(30, 3, 0)
    assert campaign.faults_in(total) == 0 and total["warned"] == 1 and total["miss"] == 30


def test_faults_are_counted() -> None:
    total = campaign.Counter({"miss": 3, "wrong": 1, "damaged": 2})
    assert campaign.faults_in(total) == 3
