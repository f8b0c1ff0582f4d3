/* The key to sign with, and its renewal.
 *
 * Where it comes from (search.h): the env_file option, the credentials/profile options, the
 * environment, a web identity, ~/.aws/credentials and ~/.aws/config, a credential_process, the
 * container's or the instance's metadata service. Secrets are wiped when freed and never appear in
 * a log line or an error text.
 *
 * A key that expires is renewed ahead of time, in the background: whoever asks meanwhile gets the
 * old one while it is good. Who must wait for a new one waits for io_timeout at most. No lock is
 * held while files are read, a program runs or the network is waited for. */
#ifndef TOOTFS_CREDENTIALS_H
#define TOOTFS_CREDENTIALS_H

#include <stdint.h>
#include "bucket.h"

struct credentials {
	char access_key[256], secret[256], token[4096]; /* token "" = none */
	int64_t expires_ns;				/* clock_wall_ns(); 0 = never */
};

/* What an env_file or a profile says beyond the key; "" = not said. Options win over these. */
struct place {
	char endpoint[512], region[64], bucket[256], prefix[256], acl[32], storage_class[64];
	int path_style; /* -1 = not said */
};

struct credential_source;

/* Finds a key. -EACCES, -EINVAL: there is none, or what was asked for is wrong; the fault says
 * what. A service that cannot be reached now is no error: credentials_get then says so. place is
 * what was found, also then. */
int credentials_open(const struct bucket_config *config, struct credential_source **out,
		     struct place *place) MUST_CHECK;
/* The credentials to sign with now. Thread-safe. With the fault set: -EACCES none is valid;
 * -EHOSTDOWN there never was one, since its service cannot be reached; -ECANCELED stopped. */
int credentials_get(struct credential_source *source, struct credentials *out) MUST_CHECK;
/* The server refused those: the next get waits for another look, unless there was one lately. */
void credentials_refused(struct credential_source *source, const struct credentials *which,
			 const char *code);
/* The server took those. */
void credentials_worked(struct credential_source *source, const struct credentials *which);
/* Reads everything again: the files at once, for the place (the error is theirs), and the key in
 * the background. What comes of it is logged. */
int credentials_reload(struct credential_source *source, struct place *place) MUST_CHECK;
/* Ends a renewal under way, and every get that waits, now and later. */
void credentials_stop(struct credential_source *source);
void credentials_close(struct credential_source **source);

void credentials_wipe(struct credentials *c);
bool credentials_same(const struct credentials *a, const struct credentials *b);
/* All that is there can be sent in a header. */
bool credentials_printable(const struct credentials *c);

#endif
