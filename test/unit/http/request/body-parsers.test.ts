import { expect, it } from '@jest/globals'
import { bodyParsers, createPolicySource, ipWhitelist, memoryStore, type PolicyInput } from 'portcullis'
import express from 'express'
import request from 'supertest'

const policy: PolicyInput = {
  appId: 'a',
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
}
const guard = ipWhitelist({ policies: createPolicySource({ store: memoryStore([{ policy }]) }) })

it('`bodyParsers()` is one handler, and Express still infers the types of a route handler next to it', async () => {
  const app = express()
  app.post('/login', bodyParsers(), guard, (req, res) => {
    // The compiler infers the types of `req` and `res`.
    const { portcullis, originalUrl } = req
    res.json({ body: req.body as unknown, appId: portcullis.appId, path: originalUrl.slice(1) })
  })
  const answer = await request(app).post('/login').set('x-app-id', 'a').send({ name: 'x' })
  expect(answer.body).toEqual({ body: { name: 'x' }, appId: 'a', path: 'login' })
})

it('`bodyParsers()` can be spread into a list of handlers', async () => {
  const handlers = [...bodyParsers(), guard]
  expect(handlers).toHaveLength(2)
  const app = express().use(...handlers, (req, res) => void res.json(req.body))
  const answer = await request(app).post('/').set('x-app-id', 'a').send({ name: 'x' })
  expect(answer.body).toEqual({ name: 'x' })
})
