#!/bin/bash
# A bucket that others filled: all media is there; markers, odd keys and over-long names are skipped, counted in the log,
# and never touched.
. "$(dirname "$0")/../support/lib.sh"

start_rgw
make_tree "$T/tree" --files 120 --bytes 2000000
s3 putdir "$T/tree"
long=$(printf 'n%.0s' $(seq 256))
odd=("marker/" "cache/" "a//b" "a/./b" "a/../b" "/lead" "../up" "." "deep/$long" "deep/$long/below" "tail//")
for key in "${odd[@]}"; do echo odd | s3 put "$key" -; done
echo both | s3 put name -
echo both | s3 put name/below -
s3 ls -l | sort >"$T/before"

start_mount
(cd "$MNT" && find . -type f | sort) >"$T/found"
(cd "$T/tree" && find . -type f | sort) >"$T/wanted"
expect_eq "$(comm -13 "$T/found" "$T/wanted")" "" "files that the mount does not show"
expect_eq "$(comm -23 "$T/found" "$T/wanted" | grep -vxE './name|./name/below')" "" "files that nobody put"
expect_eq "$(comm -23 "$T/found" "$T/wanted" | wc -l)" 1 "how often a name that is object and folder is shown"
diff <(tree_sums "$T/tree") <(tree_sums "$MNT" | grep -v ' ./name') >&2
expect_eq "$(find "$MNT/a" "$MNT/marker" -type f 2>/dev/null)" "" "files below odd keys"
wait_for 30 grep -qE 'not_shown=[1-9]' "$LOG" # counted, maybe by two listings; and one of each kind is named
for kind in 'directory marker' 'empty name' 'name is . or ..' 'name too long' 'name of a folder'; do
	grep -qF "$kind" "$LOG" || fail "the log says nothing of: $kind"
done
echo new >"$MNT/new"
find "$MNT/cache" -type f -delete
wait_for 30 object_is new "$MNT/new"
wait_for 30 eval "! s3 ls cache/ | grep -qv '^cache/\$'"
for key in "${odd[@]}"; do expect_eq "$(s3 get "$key")" odd "content of the object $key"; done
expect_eq "$(s3 get name),$(s3 get name/below)" both,both
