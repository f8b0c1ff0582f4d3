/* The journal of a killed process is brought into the index before that is salvaged: else what happened last would be
 * missing from it. In a process of its own, as all that looks into a damaged index; and only where the whole index can be
 * read, LMDB's list of free pages included, so that nothing that is in use is overwritten. LMDB's commit is the last
 * write: cut off before, it has changed nothing. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "cache/base/log.h"
#include "salvage_internal.h"

enum { CPU_SECONDS = 20 };

static void open_index(struct index *index, const char *path, MDB_txn **txn)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NOLOCK;
	if (mdb_env_create(&index->env) != 0 || mdb_env_set_maxdbs(index->env, DBI_COUNT) != 0 ||
	    mdb_env_open(index->env, path, flags, 0600) != 0 ||
	    mdb_txn_begin(index->env, NULL, 0, txn) != 0 || dbi_open_all(*txn, index->dbis, false) != 0)
		_exit(1);
}

static _Noreturn void child(const char *path, const struct journal *journal)
{
	struct index *index = calloc(1, sizeof(*index));
	struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS}, core = {0, 0};
	MDB_txn *txn;
	static const int deadly[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGXCPU};
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], SIG_DFL);
	if (!index || setrlimit(RLIMIT_CPU, &cpu) != 0 || setrlimit(RLIMIT_CORE, &core) != 0)
		_exit(1);
	index->journal = *journal;
	open_index(index, path, &txn);
	if (batch_redo(index, txn) != 0 || mdb_txn_commit(txn) != 0)
		_exit(1);
	_exit(0);
}

int salvage_redo(const char *path, const struct journal *journal)
{
	int status = 0;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		child(path, journal);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (status != 0)
		log_error("index: the journal could not be brought into the damaged index, its last changes are not known");
	return 0;
}
