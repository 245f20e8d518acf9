/** @file Writes the documents that are made from code. Tests fail while one of them is out of date. */
import './generate-ops-doc.js'
