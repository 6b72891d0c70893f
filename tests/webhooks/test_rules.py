"""Rules: what is an address of a receiver, and which private ones who hosts it may name."""

import pytest

from tests.webhooks.dialled import Dialled, found
from vidprod.config import Config
from vidprod.errors import BadConfig, BadRequest
from vidprod.webhooks.egress import Egress, Unreachable
from vidprod.webhooks.rules import Denied


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///hook",
        "receiver.example/hook",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "http://receiver.example/hook",
        "https://receiver.example:80/",
        "https://receiver.example:22/",
        "https://receiver.example:99999/",
        "https://receiver.example:x/",
        "https://user@receiver.example/",
        "https://user:word@receiver.example/",
        "https://1.1.1.1@127.0.0.1/",
        "https://receiver.example/#fragment",
        "https://receiver.example#",
        "https://receiver.example/a b",
        "https://receiver.example\\@127.0.0.1/",
        "https://receiver.example/\n",
        "https://receiver.example/\x00",
        "https://rec\teiver.example/",
        "https://receiver.example/bücher",
        "https://receiver.example/?q=ü",
        "https://receiver.example:\uff14\uff14\uff13/",
        "https://ü@receiver.example/",
        "https://receiver。example\uff20127.0.0.1/",
        "https://-ü.example/",
        "https://ü_.example/",
        "https://\u200breceiver.example/",
        "https://" + "ü" * 260 + ".example/",
        "https://127。0。0。1/",
        "https://①②⑦.0.0.1/",
        "https://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/",
        "https://\uff56\uff49\uff44\uff45\uff4f.example/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://-receiver.example/",
        "https://receiver..example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://receiver.example/" + "x" * 2000,
        "https://[::1",
        "https://[1.1.1.1]x/",
        "https://%31%32%37.0.0.1/",
        # names that mean this network
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://app.localhost/",
        "https://localhost.localdomain/",
        "https://metadata/",
        "https://metadata.google.internal/",
        "https://METADATA.google.internal./computeMetadata/v1/",
        "https://_api.internal:443/",
        "https://app.internal/",
        "https://app.flycast/",
        "https://nas.local/",
        "https://kubernetes.default.svc/",
        "https://db.prod.svc.cluster.local/",
        "https://router.lan/",
        "https://intranet/",
        # this daemon
        "https://video.example/v1/jobs",
        "https://VIDEO.example./",
        "https://studio.example/",
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused_when_it_is_given(url: str) -> None:
    egress = Egress.of(Config(public_url="https://video.example", hosts=("studio.example", "*")))
    with pytest.raises(BadRequest) as refused:
        egress.check(url)
    assert refused.value.code == "bad_webhook_url"


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example",
        "https://receiver.example/",
        "https://Receiver.Example:443/hook?token=1%20x&b=[]",
        "https://receiver.example:8443/hook",
        "https://xn--bcher-kva.example/",
        "https://bücher.example/",
        "https://例え.テスト:8443/hook",
        "https://under_score.receiver.example/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:8443/",
    ],
)
def test_an_address_of_a_receiver_is_taken(url: str) -> None:
    Egress().check(url)


def test_an_address_is_taken_apart_as_it_is_asked_for() -> None:
    target = Egress().check("https://Receiver.Example:443/hook?a=1")
    assert (target.host, target.port, target.path) == ("receiver.example", 443, "/hook?a=1")
    assert target.authority == "receiver.example"
    assert Egress().check("https://receiver.example:8443").authority == "receiver.example:8443"
    assert Egress().check("https://receiver.example:8443").path == "/"
    assert Egress().check("https://BÜCHER.example./").authority == "xn--bcher-kva.example"
    assert Egress().check("https://faß.example/").host == "xn--fa-hia.example"  # and not fass.example
    assert Egress().check("https://[2606:4700::1111]:8443/").authority == "[2606:4700::1111]:8443"


@pytest.mark.parametrize(
    ("allow", "url", "leads_to", "is_dialled"),
    [
        # an address, a network
        ("192.168.1.20", "http://192.168.1.20:5678/hook", "192.168.1.20", True),
        ("192.168.1.20", "http://192.168.1.21:5678/hook", "192.168.1.21", False),
        ("10.0.0.0/24", "http://10.0.0.7/", "10.0.0.7", True),
        ("10.0.0.0/24", "http://10.0.1.7/", "10.0.1.7", False),
        ("10.0.0.0/24", "http://[::ffff:10.0.0.7]/", "::ffff:10.0.0.7", True),
        ("fd00::/8", "http://[fd00::7]:5678/", "fd00::7", True),
        ("127.0.0.1", "http://127.0.0.1:9000/", "127.0.0.1", True),
        # a name in the network that leads to an allowed address
        ("10.0.0.0/24", "http://n8n.lan:5678/", "10.0.0.7", True),
        ("10.0.0.0/24", "http://n8n.lan:5678/", "10.0.1.7", False),
        ("10.0.0.0/24", "http://receiver.example/", "93.184.216.34", False),  # plain http, outside
        ("10.0.0.0/24", "https://receiver.example:9000/", "93.184.216.34", False),
        ("10.0.0.0/24", "https://receiver.example/", "93.184.216.34", True),
        ("10.0.0.0/24", "https://receiver.example/", "127.0.0.1", False),
        ("10.0.0.0/24", "https://intranet/", "93.184.216.34", False),
        ("10.0.0.0/24", "https://metadata.google.internal/", "169.254.169.254", False),
        # a name
        ("n8n.local", "http://n8n.local:5678/", "192.168.1.20", True),
        ("N8N.local.", "http://n8n.local/", "127.0.0.1", True),
        ("n8n.local", "http://other.n8n.local:5678/", "192.168.1.20", False),
        ("n8n.local", "http://n8n.local:5678/", "169.254.169.254", False),
        ("n8n.local", "http://n8n.local:5678/", "224.0.0.1", False),
        ("n8n.local", "http://n8n.local:5678/", "64:ff9b::a9fe:a9fe", False),
        ("bücher.lan", "http://xn--bcher-kva.lan:5678/", "192.168.1.20", True),
        ("xn--bcher-kva.lan", "http://bücher.lan:5678/", "192.168.1.20", True),
        ("receiver.example", "http://receiver.example:9000/", "93.184.216.34", True),
        ("video.example", "http://video.example:9000/", "93.184.216.34", True),  # named although it is ours
        ("169.254.169.254", "http://169.254.169.254/", "169.254.169.254", True),  # named in so many words
    ],
)
async def test_who_hosts_it_may_name_private_receivers(allow: str, url: str, leads_to: str, is_dialled: bool) -> None:
    dialled = Dialled()
    egress = Egress(
        allow=[allow], home=["video.example"], resolve=lambda host, port: found(leads_to, port=port), dial=dialled
    )
    with pytest.raises(Unreachable if is_dialled else Denied):
        await egress.connect(url)
    assert dialled == [leads_to] * is_dialled


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://n8n.local", "n8n.local:5678", "a b", "*"])
def test_what_names_no_receiver_is_told(entry: str) -> None:
    with pytest.raises(BadConfig, match="webhook_allow"):
        Egress(allow=[entry])
