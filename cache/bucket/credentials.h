/* Where the access key comes from, in this order: the env_file option, the credentials/profile options,
 * AWS_ACCESS_KEY_ID … of the environment, ~/.aws/credentials and ~/.aws/config. Secrets are wiped
 * when freed and never appear in an error text.
 *
 * A file that group or others can read is refused (-EACCES), as ssh does. */
#ifndef TOOTFS_CREDENTIALS_H
#define TOOTFS_CREDENTIALS_H

#include "bucket.h"

struct credentials {
	char access_key[256], secret[256], token[4096]; /* token "" = none */
};

/* What an env_file or a profile says beyond the key; "" = not said. Options win over these. */
struct place {
	char endpoint[512], region[64], bucket[256], prefix[256], acl[32], storage_class[64];
	int path_style; /* -1 = not said */
};

struct credential_source;
int credentials_open(const struct bucket_config *config, struct credential_source **out,
		     struct place *place) MUST_CHECK;
/* The credentials to sign with now. Thread-safe. */
int credentials_get(struct credential_source *source, struct credentials *out) MUST_CHECK;
/* The server refused them: read the files again at the next get. */
void credentials_refused(struct credential_source *source);
void credentials_close(struct credential_source **source);
void credentials_wipe(struct credentials *c);

#endif
