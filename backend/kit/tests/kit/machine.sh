#!/bin/sh
# Prints a machine that needs nothing: VM FOLDER.
cat <<MACHINE
{"vm": $1, "name": "nothing", "arch": "x86_64", "guest": "linux", "virtualisation": "container",
 "cpus": 1, "max_cpus": 1, "mem_mib": 64, "max_mem_mib": 64,
 "boot": {"from": "folder", "root": "$2"}, "disks": [], "interfaces": []}
MACHINE
