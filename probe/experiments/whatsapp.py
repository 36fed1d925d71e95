"""WhatsApp: its sixteen message servers by TCP, its registration and its web app by TLS.

What the app says on a connection to a message server is encrypted from the first byte with a key
of its own, so a connection is all there is to see there: somebody else could answer it.

Source of the places: OONI's whatsapp test (ts-018).
"""

from probe.experiments.service import of_service

EXPERIMENT = of_service("whatsapp")
