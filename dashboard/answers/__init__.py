"""What the JSON API answers, as types. `dashboard.endpoint` describes an answer by its type, and the tests hold every answer
against that."""
