/* The answers of those who hand out credentials. Pure; input is hostile. Nothing of an answer gets
 * into the fault but a code that is one word, since an answer may hold a secret anywhere. */
#ifndef TOOTFS_ANSWERS_H
#define TOOTFS_ANSWERS_H

#include <stddef.h>
#include "credentials.h"

enum { ANSWERS_BYTES_MAX = 64 << 10, ANSWERS_CODE_BYTES = 64 };

enum answers_dialect {
	ANSWERS_SERVICE, /* ECS, EKS, IMDS: Code, AccessKeyId, SecretAccessKey, Token, Expiration */
	ANSWERS_PROCESS, /* credential_process: Version 1, SessionToken instead of Token */
};

/* who is for the fault. -EACCES: the answer is of no use; -ENOMEM. */
int answers_json(const char *json, size_t length, enum answers_dialect dialect, const char *who,
		 struct credentials *out) MUST_CHECK;
/* AssumeRoleWithWebIdentityResponse. */
int answers_sts(const char *xml, size_t length, const char *who,
		struct credentials *out) MUST_CHECK;
/* The code of an error, "" where none can be found. */
void answers_json_code(const char *json, size_t length, char out[ANSWERS_CODE_BYTES]);
void answers_sts_code(const char *xml, size_t length, char out[ANSWERS_CODE_BYTES]);
/* RFC 3339 in nanoseconds since 1970, 0 = it is none. */
int64_t answers_time(const char *text);

#endif
