#!/bin/sh
# Writes down what is in the image, for readers of software lists: packages of Debian and of Python, also as CycloneDX, and the
# hashes of the locks that they came from.
# Usage: write-inventory.sh ENVIRONMENT FOLDER
set -eu
mkdir -p "$2"
dpkg-query --show --showformat '${Package}=${Version}\t${Architecture}\t${source:Package}=${source:Version}\n' > "$2/debian.tsv"
"$1/bin/python" -c '
from importlib.metadata import distributions
print(*sorted(f"{found.name}=={found.version}" for found in distributions()), sep="\n")' > "$2/python.txt"
"$1/bin/python" /images/sbom.py < "$2/debian.tsv" > "$2/sbom.cdx.json"
install -D -m 0644 /images/libvmaf.copyright /usr/share/doc/libvmaf/copyright
(cd /images && sha256sum ./*.lock) > "$2/locks.sha256"
