/* What ETags are worth.
 *
 * Nearly every S3 server gives an object that came in one piece the MD5 of its bytes as ETag, except where it is encrypted
 * with KMS or with the customer's key; then the answer says so. A few make something else up that looks the same, and then
 * every check would fail. So:
 *
 *   seen                                                  then
 *   bytes and ETag fit, once                              known: MD5s are the rule here, and what does not fit is damaged
 *   our own PUT got another ETag, and what the bucket     off: read back, the bytes are those that we sent, so the ETag
 *     holds is what we sent                                 is no MD5, known or not
 *   not known, and ETAGS_DOUBTS_MAX different objects     off: so many damaged objects and not one that fits is less
 *     do not fit, each fetched twice with the same bytes    likely than ETags that are no MD5s
 *   not known, fewer objects than that                    refused as if they were damaged
 *
 * Of an object in parts the sizes of the first and of the last one are asked for. That those between are equal is likely, but
 * not certain; so
 *
 *   not known of parts, and the same bytes came twice     used, with a line in the log: its parts may differ
 *   one object in parts did fit                           refused
 *   the server does not tell the sizes of parts           not asked again
 *
 * A single PUT or a single good object decides it, so the third row is for a bucket that is only read, and for a server
 * of that odd kind. What was learned is forgotten when the process ends. */
#include "etags.h"

#include <string.h>
#include "cache/base/log.h"

void etags_init(struct etags *e, bool verify)
{
	memset(e, 0, sizeof(*e));
	lock_init(&e->lock);
	atomic_init(&e->known, false);
	atomic_init(&e->parts_known, false);
	atomic_init(&e->parts_untold, false);
	atomic_init(&e->off, !verify);
	if (!verify || sum_has_md5())
		return;
	atomic_store(&e->off, true);
	log_warn("bucket: MD5 is not available here (FIPS mode?), so what is downloaded is not checked against ETags");
}

void etags_destroy(struct etags *e)
{
	lock_destroy(&e->lock);
}

bool etags_in_use(const struct etags *e)
{
	return !atomic_load(&e->off);
}

void etags_fit(struct etags *e)
{
	atomic_store(&e->known, true);
}

bool etags_doubt(struct etags *e, const struct sum *said)
{
	bool enough = false, new = true;

	if (!etags_in_use(e))
		return false;
	if (atomic_load(&e->known))
		return true;
	lock_take(&e->lock);
	for (unsigned i = 0; i < e->locked.doubts_count; i++)
		new &= !sum_same(&e->locked.doubts[i], said);
	if (new && e->locked.doubts_count < ETAGS_DOUBTS_MAX)
		e->locked.doubts[e->locked.doubts_count++] = *said;
	enough = e->locked.doubts_count == ETAGS_DOUBTS_MAX;
	lock_drop(&e->lock);
	if (!enough || atomic_exchange(&e->off, true))
		return !enough;
	log_warn("bucket: %u objects came twice with the same bytes, their ETags are not the MD5s of these, and no other "
		 "ETag was: it is taken that this server's ETags are no MD5s, and downloads are not checked against them",
		 ETAGS_DOUBTS_MAX);
	return false;
}

bool etags_parts_in_use(const struct etags *e)
{
	return etags_in_use(e) && !atomic_load(&e->parts_untold);
}

bool etags_doubt_parts(struct etags *e, const struct sum *said)
{
	char text[SUM_TEXT];

	if (!etags_in_use(e))
		return false;
	if (atomic_load(&e->parts_known))
		return true;
	sum_text(said, text);
	log_warn("bucket: an object in parts came twice with the same bytes, and they are not what its ETag says, if its "
		 "parts are equal; it is taken that they are not etag=%s", text);
	return false;
}

void etags_refuted(struct etags *e, const char *key)
{
	if (!atomic_exchange(&e->off, true))
		log_warn("bucket: this server's ETags are no MD5s, so downloads are not checked against them; found "
			 "at key=%s", key);
}
