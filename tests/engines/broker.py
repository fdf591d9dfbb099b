"""A real Kafka broker (KRaft) on 127.0.0.1, in plain text and with SASL/SCRAM over TLS; with a password that nobody may see."""

import base64
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.engines.java import Program, answers, free_ports, maven, utf8

USER, PASSWORD = "modelway", "pässword-that-stays-hidden"
_STORE = "changeit"


@dataclass
class Broker:
    """Where it answers, whom a client of the secure door must trust, and the process."""

    address: str
    secure: str
    ca: Path
    program: Program

    def restart(self) -> None:
        """As after a crash: killed, and started with its data."""
        self.program.kill()
        self.program.start()


def start_broker(folder: Path) -> Broker:
    """Formats and starts; the caller stops `program`."""
    libs = maven(
        "kafka-4.4.0",
        "copy-dependencies",
        "-f",
        "tools/kafka/pom.xml",
        "-DincludeScope=runtime",
        "-DoutputDirectory={out}",
    )
    port, secure, control = free_ports(3)
    keys, ca = _keys(folder)
    properties = folder / "server.properties"
    properties.write_text(_properties(folder, port, secure, control, keys))
    java = ["java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={_logging(folder)}"]
    java += ["-cp", f"{libs}/*"]
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
    tool = [
        "kafka.tools.StorageTool",
        "format",
        "--cluster-id",
        cluster,
        "--config",
        str(properties),
        "--add-scram",
        scram,
    ]
    subprocess.run([*java, *tool], check=True, capture_output=True, timeout=120, env=utf8())
    program = Program(
        [*java, "kafka.Kafka", str(properties)],
        folder / "kafka.log",
        lambda: answers(port) and answers(secure),
        folder,
    )
    program.start()
    return Broker(f"127.0.0.1:{port}", f"127.0.0.1:{secure}", ca, program)


def _keys(folder: Path) -> tuple[Path, Path]:
    """A key with a certificate of its own, and that certificate as a client wants it."""
    keys, ca = folder / "keys.p12", folder / "ca.pem"
    store = ["-keystore", str(keys), "-storetype", "PKCS12", "-storepass", _STORE, "-alias", "broker"]
    made = ["-genkeypair", "-keyalg", "RSA", "-dname", "CN=localhost", "-ext", "SAN=ip:127.0.0.1,dns:localhost"]
    subprocess.run(["keytool", *made, "-validity", "30", *store], check=True, capture_output=True)
    subprocess.run(["keytool", "-exportcert", "-rfc", "-file", str(ca), *store], check=True, capture_output=True)
    return keys, ca


def _logging(folder: Path) -> Path:
    place = folder / "log4j2.yaml"
    place.write_text(
        "Configuration:\n  Appenders:\n    Console: {name: out, PatternLayout: {pattern: '%d %p %c %m%n'}}\n"
        "  Loggers:\n    Root: {level: warn, AppenderRef: {ref: out}}\n"
    )
    return place


def _properties(folder: Path, port: int, secure: int, control: int, keys: Path) -> str:
    listeners = f"PLAINTEXT://127.0.0.1:{port},SECURE://127.0.0.1:{secure}"
    return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{control}
listeners={listeners},CONTROLLER://127.0.0.1:{control}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.location={keys}
ssl.keystore.type=PKCS12
ssl.keystore.password={_STORE}
ssl.key.password={_STORE}
log.dirs={folder / "data"}
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
controlled.shutdown.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=20971520
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
"""
