#!/bin/bash
# durability=bucket: close and fsync return when the bucket has it, or fail.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
start_proxy
faults 'PUT . latency=500'
start_mount -o durability=bucket
for i in 1 2 3; do
	echo "content $i" >"$MNT/f$i"
	expect_eq "$(s3 get "f$i")" "content $i" "in the bucket when close has returned"
done
python3 - "$MNT/g" <<'PY'
import os, sys
handle = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
os.write(handle, b"synced")
os.fsync(handle)
os.write(1, b"")
os._exit(0)
PY
expect_eq "$(s3 get g)" synced "in the bucket when fsync has returned"
