import nilus

# Dummy static dataset
dummy_data = [
  {
    "gender": "female",
    "name": {"title": "Ms", "first": "Aisha", "last": "Patel"},
    "location": {
      "city": "Bengaluru",
      "state": "Karnataka",
      "country": "India"
    },
    "email": "aisha.patel@example.com",
    "dob": {"date": "1988-04-12T10:15:30.000Z", "age": 36},
    "phone": "080-12345678"
  },
  {
    "gender": "male",
    "name": {"title": "Mr", "first": "Rahul", "last": "Sharma"},
    "location": {
      "city": "Mumbai",
      "state": "Maharashtra",
      "country": "India"
    },
    "email": "rahul.sharma@example.com",
    "dob": {"date": "1992-11-05T08:05:10.000Z", "age": 32},
    "phone": "022-23456789"
  },
  {
    "gender": "female",
    "name": {"title": "Mrs", "first": "Neha", "last": "Reddy"},
    "location": {
      "city": "Chennai",
      "state": "Tamil Nadu",
      "country": "India"
    },
    "email": "neha.reddy@example.com",
    "dob": {"date": "1975-07-22T12:30:45.000Z", "age": 49},
    "phone": "044-34567890"
  }
]

@nilus.resource()
def fetch_random_users():
    for d in dummy_data:
        yield d

@nilus.source
def random_user_source(uri, table, **kwargs):
    return fetch_random_users()
