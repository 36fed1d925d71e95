"""WireGuard servers of the user's own: with a key they know, and without."""

from base64 import b64encode

from msgspec.structs import replace

from probe import codec, wireguard
from probe.analysis.service_attempts import attempts
from probe.experiments import wireguard as experiment
from probe.experiments.interface import Task
from probe.experiments.operations import FRESH_BYTES
from probe.failure import Failure
from probe.lab.tunnels import PEER_KEY, SERVER_KEY, respond
from probe.model import Steps
from tests.build import record
from tests.probe import talking
from tests.probe.talking import TalkingNet

AT = "198.51.100.50"
PUBLIC = b64encode(wireguard.public_of(SERVER_KEY)).decode()
PRIVATE = b64encode(PEER_KEY).decode()
PEER = {"endpoint": f"{AT}:51820", "public_key": PUBLIC, "private_key": PRIVATE}
TASK = Task("service:wireguard", seed=1, options={"peers": [PEER]})
KEYLESS = {key: value for key, value in PEER.items() if key != "private_key"}


def both(net: TalkingNet, task: Task = TASK) -> Steps:
    return talking.both(experiment.EXPERIMENT, task, net)


def test_the_configured_server_answers_the_message() -> None:
    net = TalkingNet()
    (attempt,) = attempts(both(net))
    assert attempt.part == "peer 1"
    answer = respond(net.sent[0])
    assert answer is not None
    ((_, peer),) = experiment.peers(TASK)
    assert peer.message.is_answer(net.sent[0], answer)


def test_without_a_key_a_new_one_is_made_each_time() -> None:
    ((what, peer),) = experiment.peers(replace(TASK, options={"peers": [KEYLESS]}))
    assert what == "peer 1 with a throwaway key"
    one = peer.message.build(bytes(FRESH_BYTES), 0.0)
    other = peer.message.build(bytes(range(FRESH_BYTES)), 0.0)
    assert len(one) == len(other) == wireguard.INITIATION_BYTES
    assert one[8:] != other[8:]
    assert respond(one) is None


def test_a_silent_server_is_asked_behind_a_preface_too() -> None:
    net = TalkingNet(plain_mute={AT})
    steps = both(net)
    assert [one.failure for one in attempts(steps)] == [Failure.TIMEOUT] * 2
    assert [asked.endswith("behind") for asked in net.asked] == [False, True, False, True]


def test_neither_address_nor_keys_are_in_the_record() -> None:
    line = codec.encode(record(*both(TalkingNet(mute={AT}))))
    for secret in (AT, "51820", PUBLIC, PRIVATE):
        assert secret.encode() not in line


def test_invalid_options_are_named_without_keys() -> None:
    assert experiment.objection(TASK.options) is None
    assert experiment.objection({"peers": [KEYLESS]}) is None
    wrong: tuple[dict[str, object], ...] = (
        {},
        {"peers": PEER},
        {"peers": ["nonsense"]},
        {"peers": [{**PEER, "public_key": "x"}]},
        {"peers": [{**PEER, "private_key": "x"}]},
        {"peers": [{**PEER, "endpoint": f"{AT}:51820/tcp"}]},
        {"peers": [{**PEER, "allowed_ips": "0.0.0.0/0"}]},
    )
    for options in wrong:
        message = experiment.objection(options)
        assert message is not None
        assert PRIVATE not in message
        assert AT not in message
