"use strict";

// The API lies beside this page, whatever its host, stage and path are.
const api = window.location.href.replace(/\/docs\/?([?#].*)?$/, "");

// Swagger UI fills forms with examples and sends them: a filter or a key that nobody has chosen.
function withoutUnaskedValues(definition) {
  for (const operations of Object.values(definition.paths)) {
    for (const operation of Object.values(operations)) {
      for (const parameter of operation.parameters ?? []) {
        if (!parameter.required) {
          delete parameter.schema.example;
        }
      }
    }
  }
  return definition;
}

fetch(`${api}/docs/openapi.json`)
  .then((answer) => answer.json())
  .then((definition) => {
    SwaggerUIBundle({
      dom_id: "#page",
      spec: { ...withoutUnaskedValues(definition), servers: [{ url: api }] },
      deepLinking: true,
      displayRequestDuration: true,
      tryItOutEnabled: true,
    });
  });
