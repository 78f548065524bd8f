// Makes a key of each kind, and a token that is signed with it: prints them as JSON. Claims are the first argument.
const { generateKeyPairSync, sign, createHash } = require('node:crypto');

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

const kinds = [
  { alg: 'RS256', type: 'rsa', options: { modulusLength: 2048 }, hash: 'sha256' },
  { alg: 'PS256', type: 'rsa', options: { modulusLength: 2048 }, hash: 'sha256', padding: 6, saltLength: 32 },
  { alg: 'ES256', type: 'ec', options: { namedCurve: 'P-256' }, hash: 'sha256', dsaEncoding: 'ieee-p1363' },
  { alg: 'ES384', type: 'ec', options: { namedCurve: 'P-384' }, hash: 'sha384', dsaEncoding: 'ieee-p1363' },
  { alg: 'EdDSA', type: 'ed25519', options: {}, hash: null },
];

const made = kinds.map(({ alg, type, options, hash, padding, saltLength, dsaEncoding }) => {
  const { publicKey, privateKey } = generateKeyPairSync(type, options);
  const jwk = publicKey.export({ format: 'jwk' });
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url').slice(0, 8);
  const message = `${encode({ alg, kid })}.${encode(process.argv[2])}`;
  const signature = sign(hash, Buffer.from(message), { key: privateKey, padding, saltLength, dsaEncoding });
  return {
    alg,
    jwk: { ...jwk, kid, alg, use: 'sig' },
    public_pem: publicKey.export({ type: 'spki', format: 'pem' }),
    private_pem: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    token: `${message}.${signature.toString('base64url')}`,
  };
});
console.log(JSON.stringify(made));
