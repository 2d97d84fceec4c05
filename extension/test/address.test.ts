import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressFault, joinAddress, secretKey, splitAddress } from '../src/setup/address.js';

test('a_password_is_taken_out_of_an_address_and_put_back', () => {
  const whole = 'postgres://anna:p%40ss%2Fword@db.example.com:6432/shop?sslmode=require';
  const { url, password } = splitAddress(whole) ?? { url: '', password: '' };
  assert.equal(url, 'postgres://anna@db.example.com:6432/shop?sslmode=require');
  assert.equal(password, 'p@ss/word');
  assert.equal(joinAddress(url, 'p@ss/word'), whole);
});

test('any_password_survives_the_way_through_an_address', () => {
  for (const password of ['', 'plain', 'a:b@c/d?e#f', '100%', '%41', 'ä€😀', ' ', '"\'\\']) {
    const back = splitAddress(joinAddress('postgres://anna@localhost/shop', password));
    assert.equal(back?.password ?? '', password);
  }
});

test('the_same_user_server_and_database_have_the_same_secret', () => {
  assert.equal(secretKey('postgres://anna@DB.example.com/shop'), 'password:anna@db.example.com:5432/shop');
  assert.equal(secretKey('postgresql://anna@db.example.com:5432/shop?sslmode=require'), 'password:anna@db.example.com:5432/shop');
  assert.notEqual(secretKey('postgres://anna@db/shop'), secretKey('postgres://ben@db/shop'));
});

test('a_secrets_name_has_no_password', () => {
  assert.ok(!secretKey('postgres://anna:secret@db/shop').includes('secret'));
});

test('what_is_no_address_is_refused_with_the_reason', () => {
  assert.match(addressFault('localhost/shop') ?? '', /Write postgres:/);
  assert.match(addressFault('mysql://localhost/shop') ?? '', /Write postgres:/);
  assert.match(addressFault('postgres:///shop') ?? '', /Write postgres:/);
  assert.match(addressFault('postgres://localhost') ?? '', /name of the database/);
  assert.equal(addressFault(' postgresql://localhost/shop '), undefined);
});
