/* Every finding: its name, which scripts may rely on, its sentence, and what is done about it. */
#include <assert.h>
#include "check.h"

static const struct check_rule rules[CHECK_CODES] = {
	[CHECK_NONE] = { "NONE", "nothing is wrong", NULL, false, true },
	[CHECK_UNKNOWN] = { "UNKNOWN", "the bucket has an object that the index does not know", "it is shown in the mount", true,
			    false },
	[CHECK_GONE] = { "GONE", "the object of a file is gone from the bucket; the cache has all of it",
			 "it is uploaded again", true, false },
	[CHECK_COPY_GONE] = { "COPY-GONE", "the object of a further name (hard link) of a file is gone or of another size",
			      "it is copied again", true, false },
	[CHECK_LOST] = { "LOST", "the object of a file is gone from the bucket, and the cache has not all of it",
			 "the name is taken out of the mount", false, false },
	[CHECK_REPLACED] = { "REPLACED", "the bucket has another, newer object than the index says",
			     "the bucket's object is taken over", true, false },
	[CHECK_OUTDATED] = { "OUTDATED", "the bucket has another object, which is older than the file that the cache has",
			     "the file is uploaded again", false, false },
	[CHECK_NOT_WANTED] = { "NOT-WANTED", "a file is not uploaded, and nothing is noted that would upload it",
			       "the upload is noted", true, false },
	[CHECK_SETTLED] = { "SETTLED", "an upload or removal is noted, but the bucket is so already", "the note is removed",
			    true, false },
	[CHECK_BLOB_MISSING] = { "BLOB-MISSING", "a cached copy is not there", "it is forgotten, and fetched when needed", true,
				 false },
	[CHECK_BLOB_SHORT] = { "BLOB-SHORT", "a cached copy is too short", "it is dropped, and fetched when needed", true,
			       false },
	[CHECK_BLOB_WRONG] = { "BLOB-WRONG", "a cached copy has other bytes than the bucket's checksum says",
			       "it is dropped, and fetched when needed", true, false },
	[CHECK_BLOB_DIFFERS] = { "BLOB-DIFFERS", "a cached copy and its object differ, and no checksum says which is right",
				 "the copy is dropped", false, false },
	[CHECK_DIRTY_LOST] = { "DIRTY-LOST", "A FILE THAT WAS NOT UPLOADED HAS LOST ITS BYTES",
			       "its name is taken out of the mount; an older object is shown again", false, false },
	[CHECK_ORPHAN_BLOB] = { "ORPHAN-BLOB", "a cached file belongs to nothing", "it is moved to lost+found/blobs", true,
				false },
	[CHECK_AGE] = { "AGE", "what the cache counts for a file is not what it holds", "it is counted again", true, false },
	[CHECK_TOTALS] = { "TOTALS", "the index's sums are not what it holds", NULL, false, false },
	[CHECK_NAME] = { "NAME", "a name of the index leads to nothing, or to a file that does not have it",
			 "the name is taken out of the mount", false, false },
	[CHECK_MARKER] = { "MARKER", "a directory marker: an empty object whose key ends in /", NULL, false, true },
	[CHECK_BAD_KEY] = { "BAD-KEY", "an object's key cannot be a path, so it is not shown", NULL, false, true },
	[CHECK_SHADOWED] = { "SHADOWED", "an object has the name of a folder, so it is not shown", NULL, false, true },
	[CHECK_UPLOAD] = { "UPLOAD", "an old multipart upload was neither completed nor aborted", "it is aborted",
			   false, true },
	[CHECK_HEADERS] = { "HEADERS", "an object's headers are not what would be sent for it now",
			    "it is copied onto itself with the right ones", false, false },
};

const struct check_rule *check_rule(enum check_code code)
{
	assert(code < CHECK_CODES && rules[code].name);
	return &rules[code];
}
