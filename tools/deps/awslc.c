/*
 * awslc.c - what the fast set of primitives takes from AWS-LC, as one translation unit.
 *
 * Compiled by tools/deps/fastcrypto.sh, outside this project's own build: the files named here lie in
 * AWS-LC's source, fetched into build/deps.  AWS-LC joins its files in the same way
 * (crypto/fipsmodule/bcm.c).  What is not reached from the names in awslc.names is left out when the
 * object is linked.
 */
#include <stdbool.h>

#include "aws-lc/crypto/internal.h"

#include "aws-lc/crypto/fipsmodule/service_indicator/internal.h"

#include "aws-lc/crypto/fipsmodule/cpucap/cpu_intel.c"
#include "aws-lc/crypto/fipsmodule/cpucap/cpucap.c"
#include "aws-lc/crypto/fipsmodule/curve25519/curve25519.c"
#include "aws-lc/crypto/fipsmodule/curve25519/curve25519_nohw.c"
#include "aws-lc/crypto/fipsmodule/curve25519/curve25519_s2n_bignum_asm.c"
#include "aws-lc/crypto/fipsmodule/ml_dsa/ml_dsa.c"
#include "aws-lc/crypto/fipsmodule/ml_kem/ml_kem.c"
#include "aws-lc/crypto/fipsmodule/sha/keccak1600.c"
#include "aws-lc/crypto/fipsmodule/sha/sha3.c"
#include "aws-lc/crypto/fipsmodule/sha/sha512.c"

#include "aws-lc/crypto/crypto.c"
#include "aws-lc/crypto/err/err.c"
#include "aws-lc/crypto/mem.c"
#include "aws-lc/crypto/thread_pthread.c"
