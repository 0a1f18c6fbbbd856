"""Looks at a report of tests/nix/eval.nix and writes its units into a folder: units.py REPORT FOLDER"""

import json
import os
import re
import sys

report = json.load(open(sys.argv[1]))
folder = sys.argv[2]
assert report["failed"] == [], report["failed"]

units = report["units"]
for name, text in units.items():
    # What a package would hold is not here.
    text = re.sub(r"^ExecStart=\S+/store/\S+", "ExecStart=/bin/true", text, flags=re.M)
    # A template is looked at as one of its instances.
    with open(os.path.join(folder, name.replace("@.", "@story.")), "w") as file:
        file.write(text)

if units.get("hallmark.service"):
    service = units["hallmark.service"]
    secrets = re.findall(r"/run/secrets/\S+", service)
    loaded = re.findall(r"^LoadCredential=[a-z-]+:(\S+)$", service, flags=re.M)
    assert sorted(secrets) == sorted(loaded), f"secrets {secrets} come by something else than LoadCredential"
    assert "/run/secrets" not in json.dumps(report["settings"]), "the config names a secret's own place"
    # What waits for a download must not be waited for by a boot or a switch.
    for name, text in units.items():
        wanted_at_boot = re.search(r"^WantedBy=(multi-user|default)\.target$", text, flags=re.M)
        assert not (wanted_at_boot and name.startswith(("hallmark-model@", "models."))), name
    at_boot = units.get("multi-user.target", "")
    assert not re.search(r"^Wants=(?!hallmark-model@[a-z0-9-]+\.path$)", at_boot, flags=re.M), at_boot
