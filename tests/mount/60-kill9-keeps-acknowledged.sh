#!/bin/bash
# kill -9 at any instant: whatever a call acknowledged is there afterwards, exactly, without an fsync, and in the end
# in the bucket. A sample; all of it: tests/stress/kill.
exec "$(dirname "$0")/../stress/kill" --kills 10
