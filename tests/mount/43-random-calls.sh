#!/bin/bash
# Random calls from several threads give the same as on an ordinary folder, while the cache is too small and the bucket
# faulty. A sample; all of it: tests/stress/run --all.
exec "$(dirname "$0")/../stress/run" --seconds 5
