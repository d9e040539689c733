import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createVault, memoryPeople } from 'portcullis/vault'
import { sharedHomes } from '../../../example-server/homes.ts'
import { createPeople, type Account, type People } from '../../../example-server/people.ts'
import { createSessions, IDLE, LIFETIME } from '../../../example-server/sessions.ts'
import { memoryStorage } from '../../../example-server/storage.ts'
import { ADA } from '../../support/example-server.ts'

let now: number
let server: Server
let people: People
let ada: Account
let cookie: string

/** Whether the browser with the cookie is signed in. */
const isIn = async (): Promise<boolean> =>
  (await (await fetch(url('/'), { headers: { cookie } })).text()) === 'in'
const url = (path: string): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`

beforeEach(async () => {
  now = Date.now()
  const storage = memoryStorage({ now: () => now })
  const vault = createVault({ keys: [{ id: 'root', key: new Uint8Array(32) }] })
  people = createPeople(sharedHomes(storage, memoryPeople()), vault, vault)
  const { password, ...profile } = ADA
  ada = (await people.signUp(profile, password)) as Account
  const csrfKey = new Uint8Array(32)
  const sessions = createSessions({ storage, vault, people, csrfKey, publicUrl: () => '', now: () => now })
  const app = express()
  app.post('/', async (req, res) => {
    await sessions.begin(req, res, ada)
    res.end()
  })
  app.get('/', async (req, res) => {
    res.end((await sessions.find(req))?.account === undefined ? 'out' : 'in')
  })
  server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const response = await fetch(url('/'), { method: 'POST' })
  cookie = (response.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

describe('a session', () => {
  it('ends after half an hour without requests, and not before', async () => {
    for (let requests = 0; requests < 3; requests += 1) {
      now += IDLE - 1
      expect(await isIn()).toBe(true)
    }
    now += IDLE
    expect(await isIn()).toBe(false)
    now -= IDLE
    expect(await isIn()).toBe(true)
  })

  it('ends after twelve hours, even if it is used', async () => {
    const end = now + LIFETIME
    while (now + IDLE - 1 < end) {
      now += IDLE - 1
      expect(await isIn()).toBe(true)
    }
    now = end - 1
    expect(await isIn()).toBe(true)
    now = end
    expect(await isIn()).toBe(false)
  })

  it('ends when the password changes, even if it begins with the old password at that moment', async () => {
    await people.setPassword(ada.person.id, 'a staple for the horse')
    expect(await isIn()).toBe(false)
    const response = await fetch(url('/'), { method: 'POST' }) // with the earlier account
    cookie = (response.headers.getSetCookie()[0] ?? '').split(';')[0] ?? ''
    expect(await isIn()).toBe(false)
  })
})

describe('a person changed by two requests at once', () => {
  it('keeps both changes', async () => {
    const { id } = ada.person
    await Promise.all([
      people.change(id, 'image', 'https://images.example/new.png'),
      people.change(id, 'surname', 'King'),
      people.setPassword(id, 'a staple for the horse'),
    ])
    const account = await people.find(id)
    expect(account?.person).toMatchObject({ image: 'https://images.example/new.png', surname: 'King' })
    expect(account?.version).toBe(1)
    expect(await people.isPassword(id, 'a staple for the horse')).toBe(true)
  })
})
