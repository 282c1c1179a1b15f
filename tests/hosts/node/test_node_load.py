"""Fifty studies from four senders at once: all answered, with flat memory; prints the studies an hour."""

import time
from concurrent.futures import ThreadPoolExecutor

from node_process import wait_until

STUDIES, SENDERS = 50, 4


def test_fifty_studies_from_four_senders(start_node, pacs, make_study, answers, capsys):
    node = start_node(pacs)
    studies = [make_study(f"s{number}", slices=24) for number in range(STUDIES)]
    start, memory_mb = time.monotonic(), []
    with ThreadPoolExecutor(SENDERS) as senders:
        sent = [senders.submit(node.send_until_taken, study) for study in studies]

        def all_answered():
            memory_mb.append(node.resident_mb())
            return all(one.done() for one in sent) and node.studies("answered") == STUDIES and node.is_idle()

        wait_until(all_answered, 900)
    seconds = time.monotonic() - start
    assert [one.result() for one in sent] == STUDIES * [None]
    assert all(answers(pacs, study) == ["SEG", "SR"] for study in studies)
    third = len(memory_mb) // 3
    early, late = max(memory_mb[:third]), max(memory_mb[-third:])
    with capsys.disabled():
        print(f"\n{3600 * STUDIES / seconds:.0f} studies an hour; memory {early:.0f} MB early, {late:.0f} MB late")
    assert late < early + 30
