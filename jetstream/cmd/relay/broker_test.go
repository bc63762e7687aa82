package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writePEM writes a file and returns its path.
func writePEM(t *testing.T, name, kind string, der []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// newCertificate makes a certificate that is its own authority, for a server and
// for a client on loopback.
func newCertificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "asyncmetric"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return writePEM(t, "cert.pem", "CERTIFICATE", cert), writePEM(t, "key.pem", "PRIVATE KEY", private)
}

func TestARelayAndItsBrokerKnowEachOtherByTLS(t *testing.T) {
	cert, key := newCertificate(t)
	requests := startBackend(t)
	broker := startBroker(t, func(o *server.Options) {
		config, err := server.GenTLSConfig(&server.TLSConfigOpts{CertFile: cert, KeyFile: key, CaFile: cert, Verify: true})
		require.NoError(t, err)
		o.TLSConfig, o.TLS, o.TLSTimeout = config, true, patience.Seconds()
	})
	url := broker.ClientURL()
	log, stop := startRelay(t, "-nats", url, "-http", "", "-tls-ca", cert, "-tls-cert", cert, "-tls-key", key)
	log.await(t, "delivering")
	handOver(t, url, 2, nats.RootCAs(cert), nats.ClientCert(cert, key))
	requireReceived(t, requests, 2)
	assert.Zero(t, stop())

	log, stop = startRelay(t, "-nats", url, "-http", "", "-tls-ca", cert)
	assert.Contains(t, log.await(t, "the broker cannot be reached")["error"], "tls")
	assert.Zero(t, stop())
	assert.Nil(t, log.find("delivering"), "without a certificate of its own")
}

// newCredentials makes an account and a file with the credentials of a user of
// it, and the options of a broker that trusts them.
func newCredentials(t *testing.T) (file string, change func(*server.Options)) {
	t.Helper()
	operator, err := nkeys.CreateOperator()
	require.NoError(t, err)
	account, err := nkeys.CreateAccount()
	require.NoError(t, err)
	system, err := nkeys.CreateAccount()
	require.NoError(t, err)
	user, err := nkeys.CreateUser()
	require.NoError(t, err)
	public := func(k nkeys.KeyPair) string {
		s, err := k.PublicKey()
		require.NoError(t, err)
		return s
	}
	accountClaims := jwt.NewAccountClaims(public(account))
	accountClaims.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
	}
	accountToken, err := accountClaims.Encode(operator)
	require.NoError(t, err)
	systemToken, err := jwt.NewAccountClaims(public(system)).Encode(operator)
	require.NoError(t, err)
	userToken, err := jwt.NewUserClaims(public(user)).Encode(account)
	require.NoError(t, err)
	seed, err := user.Seed()
	require.NoError(t, err)
	creds, err := jwt.FormatUserConfig(userToken, seed)
	require.NoError(t, err)
	file = filepath.Join(t.TempDir(), "relay.creds")
	require.NoError(t, os.WriteFile(file, creds, 0o600))
	return file, func(o *server.Options) {
		resolver := new(server.MemAccResolver)
		require.NoError(t, resolver.Store(public(account), accountToken))
		require.NoError(t, resolver.Store(public(system), systemToken))
		o.AccountResolver, o.TrustedKeys, o.SystemAccount = resolver, []string{public(operator)}, public(system)
	}
}

func TestARelayShowsItsCredentials(t *testing.T) {
	file, change := newCredentials(t)
	requests := startBackend(t)
	broker := startBroker(t, change)
	log, stop := startRelay(t, "-nats", broker.ClientURL(), "-http", "", "-creds", file)
	log.await(t, "delivering")
	handOver(t, broker.ClientURL(), 2, nats.UserCredentials(file))
	requireReceived(t, requests, 2)
	assert.Zero(t, stop())
}

func TestFilesThatAreMissingAreNamed(t *testing.T) {
	broker := startBroker(t, nil)
	for _, option := range []string{"-creds", "-tls-ca"} {
		log := new(journal)
		code := run(t.Context(), []string{"-nats", broker.ClientURL(), "-http", "", option, "missing.file"}, os.Getenv, log)
		assert.Equal(t, 1, code, option)
		if failed := log.find("cannot start"); assert.NotNil(t, failed, option) {
			assert.Contains(t, failed["error"], "missing.file")
		}
	}
}

func TestARelayThatIsRefusedTriesAgain(t *testing.T) {
	broker := startBroker(t, func(o *server.Options) { o.Authorization = "right" })
	address := broker.ClientURL()[len("nats://"):]
	log, stop := startRelay(t, "-nats", "nats://wrong@"+address, "-http", "")
	assert.Contains(t, log.await(t, "the broker cannot be reached")["error"], "uthorization")
	require.Eventually(t, func() bool {
		v, err := broker.Varz(nil)
		return err == nil && v.TotalConnections > 3
	}, patience, 10*time.Millisecond, "it does not give up after the second refusal")
	assert.Zero(t, stop())
	assert.Nil(t, log.find("the connection to the broker has been closed"))
}
